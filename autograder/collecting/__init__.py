"""From a platform's download to hand-ins that can be graded."""
