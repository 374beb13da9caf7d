"""What is compared of the lab's parts, by text that runs in a student process, and where the lab leaves freedom."""
