"""What the service does, free of HTTP: each module one subject, its transactions begun and ended here or in a group
writer.
"""
