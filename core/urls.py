"""The HTTP root."""

urlpatterns: list[object] = []
