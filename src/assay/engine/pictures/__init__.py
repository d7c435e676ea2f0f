# SPDX-License-Identifier: Apache-2.0
"""Pictures that a search makes: inputs that a unit responds to most, and learned masks of a picture."""
