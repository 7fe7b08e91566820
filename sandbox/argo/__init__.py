"""The Argo Rollouts controller as it was recorded: pure rooms that turn objects and a time into ordered writes."""
