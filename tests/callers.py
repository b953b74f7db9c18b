"""People who ask the REST API of an organization, in this process."""

import json
from typing import Any
from uuid import uuid4

from django.test import Client

from tests.cast import Person


class Caller:
    """A person who asks an organization's API with a token."""

    def __init__(self, person: Person, slug: str = "acme") -> None:
        self.id = person.id
        self.base = f"/api/v1/tenants/{slug}/"
        self._headers = person.bearer

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        target = path if path.startswith("/") else self.base + path
        content = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        return Client().generic(method, target, headers={**self._headers, **headers}, **content)

    def _told(self, method: str, path: str, body: Any, status: int, **headers: str) -> Any:
        answer = self.ask(method, path, body, **headers)
        assert answer.status_code == status, answer.content
        return json.loads(answer.content) if answer.content else None

    def get(self, path: str) -> Any:
        return self._told("GET", path, None, 200)

    def post(self, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        return self._told("POST", path, body, status, **headers)

    def patch(self, path: str, body: Any) -> Any:
        return self._told("PATCH", path, body, 200)

    def put(self, path: str) -> Any:
        return self._told("PUT", path, None, 200)

    def delete(self, path: str, status: int = 204) -> Any:
        return self._told("DELETE", path, None, status)

    def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        answer = self.ask(method, path, body, **headers)
        assert answer["Content-Type"] == "application/problem+json", answer.content
        return answer.status_code, json.loads(answer.content)["code"]

    def say(self, room: str, body: str = "hello", **more: Any) -> Any:
        return self.post(f"rooms/{room}/messages/", {"body": body, "nonce": uuid4().hex, **more}, 201)
