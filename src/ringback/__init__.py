"""Ringback: a self-hosted phone-system back end that speaks the VoIPstudio REST API."""
