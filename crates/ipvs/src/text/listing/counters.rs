//! The tables of `ipvsadm -Ln --stats` and `--rate`.

use std::fmt;

use crate::text::listing::{NAME_WIDTH, id_name, write_title};
use crate::{Counters, Info, Statistics, TableEntry};

/// Which counters a table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Totals, as `--stats`.
    Totals,
    /// Rates per second, as `--rate`.
    Rates,
}

/// A table of counters. Displays as `ipvsadm` 1.31 prints it; but firewall marks above `i32::MAX`
/// are not shown as negative.
#[derive(Debug, Clone, Copy)]
pub struct CounterListing<'a> {
    info: Info,
    table: &'a [TableEntry],
    counted: Counted,
    exact: bool,
}

impl<'a> CounterListing<'a> {
    /// The counters of these virtual servers, in this order, under a header from `info`.
    #[must_use]
    pub const fn new(info: Info, table: &'a [TableEntry], counted: Counted) -> Self {
        Self {
            info,
            table,
            counted,
            exact: false,
        }
    }

    /// Shows numbers from 100 million up in full, not as thousands (`K`), millions (`M`), …, as
    /// `--exact`.
    #[must_use]
    pub const fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    fn write_row(&self, f: &mut fmt::Formatter<'_>, name: &str, of: &Statistics) -> fmt::Result {
        let Counters {
            connections,
            incoming_packets,
            outgoing_packets,
            incoming_bytes,
            outgoing_bytes,
        } = match self.counted {
            Counted::Totals => of.totals,
            Counted::Rates => of.rates,
        };
        write!(f, "{name:<NAME_WIDTH$}")?;
        for number in [
            connections,
            incoming_packets,
            outgoing_packets,
            incoming_bytes,
            outgoing_bytes,
        ] {
            self.write_number(f, number)?;
        }
        writeln!(f)
    }

    fn write_number(&self, f: &mut fmt::Formatter<'_>, number: u64) -> fmt::Result {
        if self.exact {
            return write!(f, " {number:>8}");
        }
        // The bounds are those of ipvsadm: a unit is used before its numbers get short.
        let units = [
            (1_000_000_000, 1_000, 'K'),
            (100_000_000_000, 1_000_000, 'M'),
            (100_000_000_000_000, 1_000_000_000, 'G'),
            (u64::MAX, 1_000_000_000_000, 'T'),
        ];
        match units
            .into_iter()
            .find(|(bound, ..)| number < *bound || *bound == u64::MAX)
        {
            Some((_, unit, letter)) if number >= 100_000_000 => {
                write!(f, "{:>8}{letter}", number / unit)
            }
            _ => write!(f, "{number:>9}"),
        }
    }
}

impl fmt::Display for CounterListing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_title(f, self.info)?;
        writeln!(
            f,
            "{}",
            match self.counted {
                Counted::Totals => {
                    "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes"
                }
                Counted::Rates => {
                    "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS"
                }
            }
        )?;
        writeln!(f, "  -> RemoteAddress:Port")?;
        for TableEntry {
            server,
            destinations,
        } in self.table
        {
            self.write_row(f, &id_name(&server.id), &server.statistics)?;
            for status in destinations {
                let name = format!("  -> {}", status.destination.id);
                self.write_row(f, &name, &status.statistics)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SaveLine, Version, VirtualServer};

    fn row(connections: u64, exact: bool) -> String {
        let SaveLine::AddService { id, config } = "-A -t 10.0.0.1:80 -s rr".parse().unwrap() else {
            panic!()
        };
        let totals = Counters {
            connections,
            ..Counters::default()
        };
        let statistics = Statistics {
            totals,
            ..Statistics::default()
        };
        let server = VirtualServer {
            id,
            config,
            statistics,
        };
        let table = [TableEntry {
            server,
            destinations: vec![],
        }];
        let info = Info {
            version: Version(0x01_0201),
            connection_table_size: 4096,
        };
        let listing = CounterListing::new(info, &table, Counted::Totals);
        let listing = if exact { listing.exact() } else { listing };
        listing.to_string().lines().last().unwrap().to_owned()
    }

    /// Printed by `ipvsadm` 1.31 from replies of Linux 6.1 whose counter was overwritten.
    #[test]
    fn large_numbers_are_cut_where_ipvsadm_cuts_them() {
        for (number, expected) in [
            (
                99_999_999,
                "TCP  10.0.0.1:80                  99999999        0        0        0        0",
            ),
            (
                100_000_000,
                "TCP  10.0.0.1:80                   100000K        0        0        0        0",
            ),
            (
                999_999_999,
                "TCP  10.0.0.1:80                   999999K        0        0        0        0",
            ),
            (
                1_000_000_000,
                "TCP  10.0.0.1:80                     1000M        0        0        0        0",
            ),
            (
                99_999_999_999,
                "TCP  10.0.0.1:80                    99999M        0        0        0        0",
            ),
            (
                100_000_000_000,
                "TCP  10.0.0.1:80                      100G        0        0        0        0",
            ),
            (
                99_999_999_999_999,
                "TCP  10.0.0.1:80                    99999G        0        0        0        0",
            ),
            (
                100_000_000_000_000,
                "TCP  10.0.0.1:80                      100T        0        0        0        0",
            ),
            (
                u64::MAX,
                "TCP  10.0.0.1:80                 18446744T        0        0        0        0",
            ),
        ] {
            assert_eq!(row(number, false), expected);
        }
        for (number, expected) in [
            (
                99_999_999,
                "TCP  10.0.0.1:80                  99999999        0        0        0        0",
            ),
            (
                999_999_999,
                "TCP  10.0.0.1:80                  999999999        0        0        0        0",
            ),
            (
                u64::MAX,
                "TCP  10.0.0.1:80                  18446744073709551615        0        0        0        0",
            ),
        ] {
            assert_eq!(row(number, true), expected);
        }
    }
}
