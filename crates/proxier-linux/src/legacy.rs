//! The tables of legacy iptables, as the kernel shows them without a tool.

use std::fs;
use std::io;
use std::path::Path;

use proxier::cluster::Family;

use crate::sockopt::Questions;

/// `IPT_SO_GET_INFO`, and `IP6T_SO_GET_INFO`.
const IPT_SO_GET_INFO: i32 = 64;
/// `sizeof(struct ipt_getinfo)`, and where `num_entries` and `size` are in it.
const TABLE_INFO: usize = 84;
const NUM_ENTRIES: usize = 76;

/// The number and size of the rules in a table. The kernel loads the table's module for it, if it has the one of the family
/// (`ip_tables`, `ip6_tables`) already.
///
/// # Errors
///
/// What the kernel says: `ENOPROTOOPT` without that one, `ENOENT` without the table.
pub(crate) fn size(
    questions: &Questions,
    table: &str,
) -> io::Result<[u8; TABLE_INFO - NUM_ENTRIES]> {
    let mut info = [0; TABLE_INFO];
    for (byte, of_name) in info.iter_mut().zip(table.bytes()) {
        *byte = of_name;
    }
    questions.get(IPT_SO_GET_INFO, &mut info)?;
    let mut size = [0; TABLE_INFO - NUM_ENTRIES];
    size.iter_mut()
        .zip(info.iter().skip(NUM_ENTRIES))
        .for_each(|(byte, of_info)| *byte = *of_info);
    Ok(size)
}

/// Whether there is a table in the network namespace of the calling thread: the kernel makes one when it is first looked at.
pub(crate) fn has_tables(family: Family) -> bool {
    let file = match family {
        Family::V4 => "ip_tables_names",
        Family::V6 => "ip6_tables_names",
    };
    let path = Path::new("/proc/thread-self/net").join(file);
    fs::read_to_string(path).is_ok_and(|names| !names.trim().is_empty())
}
