"""The HTTP face: pure ASGI routes for GraphQL over POST and websocket, health and the start page."""
