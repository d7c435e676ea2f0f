# SPDX-License-Identifier: Apache-2.0
"""What an audit is going to do: profiles, the rows explained, and the plan of steps with their cost."""
