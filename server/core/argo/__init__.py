"""What the Argo actions and checks share: state, decision table, template comparison, patches. Pure."""
