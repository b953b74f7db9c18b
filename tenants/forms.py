"""The form in which an organization is founded."""

from django import forms

from core.errors import ConclaveError


class FoundForm(forms.Form):
    name = forms.CharField(max_length=80)
    slug = forms.CharField(max_length=40)

    def refuse(self, error: ConclaveError) -> None:
        """Show what a service refused beside the fields it is about."""
        for field, reasons in (error.errors or {"": [error.detail]}).items():
            self.add_error(field or None, list(reasons))
