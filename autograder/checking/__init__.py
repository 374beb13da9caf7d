"""What hidden checks are written with."""
