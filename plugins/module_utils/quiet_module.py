# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module whose options do not reach the system log of the managed host."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule


class QuietModule(AnsibleModule):
    """
    An Ansible module that logs that it ran, and not with what.

    AnsibleModule writes all options to the system log and masks secrets by searching for their text; the text of nested options is
    quoted there, so that a secret with a line end or a quote is not found. Its own switch, ``no_log``, is set by the controller.
    """

    def _log_invocation(self) -> None:
        self.log("Invoked; options are not logged")
