"""What one transaction applies: batches of calls, each with its own outcome. The machinery that gathers them and
answers their callers is in `app.live`.
"""
