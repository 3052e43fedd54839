# SPDX-License-Identifier: MIT
"""The certificate files of an instance, and the certificate that its server shows."""
