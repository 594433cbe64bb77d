"""The HTTP interfaces: GitHub's REST API, the runners' service, the control API."""
