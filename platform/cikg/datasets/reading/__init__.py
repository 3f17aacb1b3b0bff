"""What readers of formats share: files as they come, rows, values."""
