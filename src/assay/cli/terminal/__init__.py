# SPDX-License-Identifier: Apache-2.0
"""What the command line writes: streams, progress, and texts without control characters."""
