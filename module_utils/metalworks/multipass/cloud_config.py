"""Check user data for cloud-init before a machine boots with it."""

from __future__ import annotations

from typing import Any

import yaml
from ansible.module_utils.metalworks.common.suggestions import did_you_mean

FIRST_LINE = "#cloud-config"
# The keys that cloud-init takes at the top: "properties" of its schema-cloud-config-v1.json (commit 01a3bf2),
# which takes no others. cloud-init skips unknown keys without an error.
_WORDS = """
allow_public_ssh_keys ansible apk_repos apt apt_pipelining apt_reboot_if_required apt_update apt_upgrade
authkey_hash autoinstall bootcmd byobu_by_default ca-certs ca_certs chef chpasswd cloud_config_modules
cloud_final_modules cloud_init_modules create_hostname_file device_aliases disable_ec2_metadata
disable_piwiz disable_root disable_root_opts disk_setup drivers enable_rpi_connect fan final_message fqdn
fs_setup groups growpart grub-dpkg grub_dpkg hostname keyboard landscape launch-index locale
locale_configfile lxd manage_etc_hosts manage_resolv_conf mcollective merge_how merge_type migrate
mount_default_fields mounts no_ssh_fingerprints ntp output package_reboot_if_required package_update
package_upgrade packages password phone_home power_state prefer_fqdn_over_hostname preserve_hostname
puppet random_seed reporting resize_rootfs resolv_conf rh_subscription rpi_interfaces rpi_userconf rsyslog
runcmd salt_minion snap spacewalk ssh ssh_authorized_keys ssh_deletekeys ssh_fp_console_blacklist
ssh_genkeytypes ssh_import_id ssh_key_console_blacklist ssh_keys ssh_publish_hostkeys ssh_pwauth
ssh_quiet_keygen swap system_info timezone ubuntu_advantage ubuntu_pro updates user users vendor_data
version wireguard write_files yum_repo_dir yum_repos zypper
"""
KEYS = frozenset(_WORDS.split())


def problem(text: str) -> str | None:
    """Return what is wrong with the user data, or None. Only the top level is checked."""
    if not text.startswith(FIRST_LINE):
        return f"has to begin with the line {FIRST_LINE}"
    try:
        found: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return f"is no YAML: {' '.join(str(error).split())}"
    if found is None:
        return None
    if not isinstance(found, dict):
        return "is no mapping: write keys of cloud-init, such as packages: [curl]"
    unknown = [str(key) for key in found if key not in KEYS]
    return "; ".join(map(_of_unknown, unknown)) or None


def _of_unknown(key: str) -> str:
    return f"has the key {key}, which cloud-init does not know{did_you_mean(key, KEYS)}"
