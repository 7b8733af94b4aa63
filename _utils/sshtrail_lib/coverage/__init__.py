"""
Whether what people do on this host is really recorded: every known way in which it would not be.
"""
