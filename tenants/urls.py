"""Addresses below /api/v1/."""

from django.urls import include, path

from tenants import api, invitations_api, roles_api

in_tenant = [
    path("", api.TenantView.as_view()),
    path("members/", api.MembersView.as_view()),
    path("members/<uuid:user>/", api.MemberView.as_view()),
    path("transfer/", api.TransferView.as_view()),
    path("leave/", api.LeaveView.as_view()),
    path("invitations/", invitations_api.InvitationsView.as_view()),
    path("invitations/<uuid:invitation>/", invitations_api.InvitationView.as_view()),
    path("abilities/", roles_api.AbilitiesView.as_view()),
    path("roles/", roles_api.RolesView.as_view()),
    path("roles/<slug:name>/", roles_api.RoleView.as_view()),
    path("permissions/explain/", api.ExplainView.as_view()),
]
urlpatterns = [
    path("tenants/", api.TenantsView.as_view()),
    path("tenants/<slug:slug>/", include(in_tenant)),
    path("invitations/<slug:token>/", invitations_api.PreviewView.as_view()),
    path("invitations/<slug:token>/accept/", invitations_api.AcceptView.as_view()),
]
