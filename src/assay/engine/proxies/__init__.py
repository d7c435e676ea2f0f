# SPDX-License-Identifier: Apache-2.0
"""Parts of trees and of linear models that stand in for a sensitive attribute (Datta et al. 2017, Yeom et al. 2018)."""
