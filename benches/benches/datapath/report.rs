//! The page of results, and its plots.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use benches::machine;

use crate::ENDPOINTS;
use crate::figures::{Figures, Unit};
use crate::plot::Plot;
use crate::ways::{PLACES, Way};

/// What a row of connections is called.
pub(crate) fn opened(way: Way, place: &str) -> String {
    format!("{}, {place}", way.name())
}

/// What a row of requests is called.
pub(crate) fn asked(way: Way, place: &str) -> String {
    format!("a request: {}", opened(way, place))
}

type Name = fn(Way, &str) -> String;

fn rows(name: Name, places: &[&str]) -> Vec<String> {
    let ways = Way::ALL.into_iter();
    ways.flat_map(|way| places.iter().map(move |place| name(way, place)))
        .collect()
}

/// The page, but for its plots.
pub(crate) fn text(figures: &Figures, sizes: &[u32]) -> String {
    let table = |name: Name, unit| {
        let rows = rows(name, &PLACES);
        let rows: Vec<_> = rows.iter().map(String::as_str).collect();
        figures
            .table(&rows, sizes, unit)
            .replace("| a request: ", "| ")
    };
    format!(
        "# What a packet costs\n\n\
         `cargo bench -p benches --bench datapath` under Debian's kernel, emulated by QEMU with one processor on {}. The guest's clock \
         counts instructions, one a nanosecond (`-icount shift=0,sleep=off`), so that a time is a number of instructions and does not \
         depend on what else the machine did. It contains no cost of caches that miss.\n\n\
         A pod opens connections to port 80 of a cluster IP; a pod behind the node, in another network namespace, answers. Services \
         have {ENDPOINTS} endpoints each. Both programs, both pods' kernels and the node's are counted; the floor is the same without any proxy and \
         without connection tracking, straight to the endpoint. First and last are the Services whose rules iptables walks first and last. \
         All is of one boot.\n\n\
         ## A connection opened and closed, thousand instructions\n\n{}\n\
         ## A request and its response over a connection that stays, thousand instructions\n\n{}\n\
         ## Connections opened a second, at a thousand million instructions a second\n\n{}\n\
         ## Requests a second, at a thousand million instructions a second\n\n{}",
        machine::name(),
        table(opened, Unit::Microseconds),
        table(asked, Unit::Microseconds),
        table(opened, Unit::EachSecond),
        table(asked, Unit::EachSecond),
    )
}

/// Writes the page and the plots, which show the last Service.
///
/// # Errors
/// Those of writing files.
pub(crate) fn keep(figures: &Figures, text: &str) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/results"));
    let mut page = text.to_owned();
    let names: [(Name, &str, &str); 2] = [
        (
            opened,
            "datapath-connections.svg",
            "Connections opened a second through a Service's address",
        ),
        (
            asked,
            "datapath-requests.svg",
            "Requests a second through a Service's address",
        ),
    ];
    for (name, file, title) in names {
        let rows = rows(name, &PLACES[1..]);
        let rows: Vec<_> = rows.iter().map(String::as_str).collect();
        let plot = Plot {
            file,
            title,
            across: "Services, 2 endpoints each",
            unit: Unit::EachSecond,
            rows: &rows,
        };
        if plot.write(figures, folder)? {
            let _ = write!(page, "\n![{title}]({file})\n");
        }
    }
    fs::write(folder.join("datapath.md"), page)?;
    Ok(())
}
