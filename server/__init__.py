"""Ripcord: takes a bad release back when PagerDuty says that it hurts, and proves that it worked."""
