"""Imports of what a language model said outside the platform: profiles and interests."""
