"""The view that every REST address of ours is."""

from rest_framework.views import APIView

from core.api import WireRenderer


class View(APIView):
    """Methods answer `Response(struct)`; nothing of it is kept by any cache."""

    renderer_classes = (WireRenderer,)

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {**super().default_response_headers, "Cache-Control": "no-store"}
