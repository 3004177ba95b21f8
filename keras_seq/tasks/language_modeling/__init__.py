"""What tasks that learn a language from texts without labels share."""
