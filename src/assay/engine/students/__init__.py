# SPDX-License-Identifier: Apache-2.0
"""Students: small models that learn a teacher's decisions from rows and explanations."""
