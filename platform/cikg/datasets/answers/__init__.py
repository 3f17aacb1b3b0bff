"""What a language model said elsewhere: profiles and interests."""
