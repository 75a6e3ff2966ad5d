"""The API machine: rows of endpoints become routes, answers, OpenAPI and tests. It knows no resource."""
