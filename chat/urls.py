"""Addresses below /api/v1/."""

from django.urls import URLPattern, URLResolver, include, path

from chat import api_messages, api_rooms

in_message = [
    path("", api_messages.MessageView.as_view()),
    path("history/", api_messages.HistoryView.as_view()),
    path("reactions/<str:emoji>/", api_messages.ReactionView.as_view()),
]
in_room: list[URLPattern | URLResolver] = [
    path("", api_rooms.RoomView.as_view()),
    path("archive/", api_rooms.ArchiveView.as_view()),
    path("restore/", api_rooms.RestoreView.as_view()),
    path("join/", api_rooms.JoinView.as_view()),
    path("leave/", api_rooms.LeaveView.as_view()),
    path("members/", api_rooms.RoomMembersView.as_view()),
    path("members/<uuid:user>/", api_rooms.RoomMemberView.as_view()),
    path("messages/", api_messages.MessagesView.as_view()),
    path("messages/<uuid:message>/", include(in_message)),
    path("changes/", api_messages.ChangesView.as_view()),
    path("read/", api_messages.ReadView.as_view()),
]
in_tenant: list[URLPattern | URLResolver] = [
    path("rooms/", api_rooms.RoomsView.as_view()),
    path("rooms/<uuid:room>/", include(in_room)),
    path("direct/", api_rooms.DirectView.as_view()),
]
urlpatterns = [path("tenants/<slug:slug>/", include(in_tenant))]
