"""
The page that people look at: one HTML file that says how a host, or a fleet, stands.
"""
