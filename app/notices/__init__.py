"""
Messages that leave the machine: alerts by apprise, and pings of dead-man services.

Import `AppriseMessenger`, `Pings`, and the parsers of `addresses`.
"""
