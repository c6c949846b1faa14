"""What watches the platform: rules, dashboards and targets of its parts, and the values of the release."""
