//! The tables of legacy iptables, as the kernel shows them without a tool.

use std::fs;
use std::io;
use std::path::Path;

use proxier::cluster::Family;

use crate::sockopt::Questions;

/// `IPT_SO_GET_INFO`, and `IP6T_SO_GET_INFO`.
const IPT_SO_GET_INFO: i32 = 64;
/// `sizeof(struct ipt_getinfo)`, and where `valid_hooks`, `num_entries` and `size` are in it.
const TABLE_INFO: usize = 84;
const VALID_HOOKS: usize = 32;
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
    let info = info(questions, table)?;
    let mut size = [0; TABLE_INFO - NUM_ENTRIES];
    size.iter_mut()
        .zip(info.iter().skip(NUM_ENTRIES))
        .for_each(|(byte, of_info)| *byte = *of_info);
    Ok(size)
}

/// Whether there is a table in the network namespace of the calling thread: the kernel makes one when it is first looked at.
pub(crate) fn has_tables(family: Family) -> bool {
    !names(family).is_empty()
}

/// Whether a table has a rule, or a chain that is not its own. It has at least an entry for the policy of each of its own, and one
/// that ends it.
///
/// # Errors
///
/// What the kernel says.
pub(crate) fn has_rules(family: Family) -> io::Result<bool> {
    let names = names(family);
    if names.is_empty() {
        return Ok(false);
    }
    let questions = Questions::open(family)?;
    for table in &names {
        let info = info(&questions, table)?;
        let number = |at| {
            let bytes = info.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
        };
        if number(NUM_ENTRIES) > number(VALID_HOOKS).count_ones() + 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn names(family: Family) -> Vec<String> {
    let file = match family {
        Family::V4 => "ip_tables_names",
        Family::V6 => "ip6_tables_names",
    };
    let path = Path::new("/proc/thread-self/net").join(file);
    let names = fs::read_to_string(path).unwrap_or_default();
    names.split_whitespace().map(ToOwned::to_owned).collect()
}

fn info(questions: &Questions, table: &str) -> io::Result<[u8; TABLE_INFO]> {
    let mut info = [0; TABLE_INFO];
    for (byte, of_name) in info.iter_mut().zip(table.bytes()) {
        *byte = of_name;
    }
    questions.get(IPT_SO_GET_INFO, &mut info)?;
    Ok(info)
}
