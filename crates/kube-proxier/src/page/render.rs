//! The page as HTML.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use proxier::Drain;

use super::content::{Content, EndpointLine, Lines, PAGE, Part, ServerLine};
use super::html::Html;
use super::recent::Told;
use super::search::{Ask, View};
use crate::health::Health;

/// How the page looks. It names nothing outside of itself.
pub(super) const STYLE: &str = include_str!("style.css");

/// All that the page shows.
pub(super) struct Shown<'a> {
    pub(super) node: &'a str,
    pub(super) started: SystemTime,
    pub(super) now: SystemTime,
    pub(super) ask: &'a Ask,
    pub(super) health: Health,
    /// Since when the API server has been away.
    pub(super) away_since: Option<SystemTime>,
    pub(super) refused: usize,
    pub(super) told: Told,
    /// `None` where the loop is busy.
    pub(super) content: Option<Content>,
}

impl Shown<'_> {
    pub(super) fn html(&self) -> String {
        let mut html = Html::default();
        html.markup("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
            .markup("<meta name=\"viewport\" content=\"width=device-width\">")
            .markup("<title>kube-proxier, ")
            .text(self.node)
            .markup("</title><style>")
            .markup(STYLE)
            .markup("</style></head><body>\n<header><h1>kube-proxier <small>")
            .text(self.node)
            .markup("</small></h1>\n");
        self.search(&mut html);
        html.markup("</header><main>\n");
        let (page, searched) = (self.ask.page, !self.ask.text.is_empty());
        if page == 0 && !searched {
            self.status(&mut html);
            self.differences(&mut html);
            self.conflicts(&mut html);
            self.draining(&mut html);
            self.syncs(&mut html);
        }
        self.services(&mut html);
        html.markup("</main></body></html>\n");
        html.finish()
    }

    fn search(&self, html: &mut Html) {
        html.markup(
            "<form action=\"/\" method=\"get\"><input type=\"hidden\" name=\"view\" value=\"",
        )
        .value(self.ask.view.as_str())
        .markup("\"><input type=\"search\" name=\"q\" maxlength=\"200\" aria-label=\"Search\" ")
        .markup("placeholder=\"part of a name, address, address:port, port\" value=\"")
        .value(&self.ask.text)
        .markup("\"> <button>Search</button></form>\n<nav>");
        for (view, name) in [(View::Services, "Services"), (View::Endpoints, "Endpoints")] {
            html.link(&[("view", view.as_str()), ("q", &self.ask.text)], name)
                .markup(" ");
        }
        html.markup("<a href=\"/metrics\">metrics</a> <a href=\"/configz\">configuration</a> ")
            .markup("<a href=\"/flagz\">flags</a> <a href=\"/statusz\">status</a></nav>");
    }

    fn status(&self, html: &mut Html) {
        let health = &self.health;
        let (good, word) = match (health.healthy, health.node_eligible) {
            (true, true) => (true, "healthy"),
            (true, false) => (false, "the Node is about to be deleted"),
            (false, _) => (false, "changes wait for longer than they may"),
        };
        html.markup("<section><h2>Status</h2><table class=\"facts\"><tbody>\n");
        fact(html, "Health", word, good);
        let updated = match health.last_updated {
            Some(at) => format!("{} ago", self.since(at)),
            None => "never".to_owned(),
        };
        fact(
            html,
            "The kernel was up to date",
            updated,
            health.last_updated.is_some(),
        );
        match self.away_since {
            Some(at) => fact(
                html,
                "API server",
                format!(
                    "does not answer for {}; what was known is served",
                    self.since(at)
                ),
                false,
            ),
            None => fact(html, "API server", "answers", true),
        }
        if let Some(content) = &self.content {
            let mode = format!("{}, layout {}", content.mode, content.layout);
            fact(html, "Mode", mode, true);
            let count = format!(
                "{} Services, {} virtual servers",
                content.services, content.servers
            );
            fact(html, "Wanted", count, true);
        }
        if let Some(missing) = &self.told.missing {
            fact(html, "iptables mode stands in, for want of", missing, false);
        }
        if self.refused > 0 {
            let refused = format!("{}, of which the last good version is served", self.refused);
            fact(html, "Objects that cannot be used", refused, false);
        }
        let version = format!(
            "{}, up {}",
            env!("CARGO_PKG_VERSION"),
            self.since(self.started)
        );
        fact(html, "Version", version, true);
        html.end().markup("</section>\n");
    }

    /// What differs from the kernel.
    fn differences(&self, html: &mut Html) {
        html.markup("<section><h2>Differences from the kernel</h2>\n");
        match &self.told.comparison {
            None => html.markup("<p>Nothing has been compared yet.</p>\n"),
            Some(found) => {
                html.markup("<p>Everything was compared ")
                    .text(self.since(found.at))
                    .markup(" ago: ");
                match found.count {
                    0 => html.markup("others had changed nothing.</p>\n"),
                    count => {
                        html.markup("<strong>others had changed ")
                            .text(count)
                            .markup("</strong>, and it was mended.</p>\n");
                        list(html, found.named.iter(), count)
                    }
                }
            }
        };
        match self.told.failed {
            0 => html.markup("<p>All that was to be done is done.</p>\n"),
            failed => {
                html.markup("<p class=\"bad\">Still to be done, and tried again: ")
                    .text(failed)
                    .markup("</p>\n");
                list(html, self.told.failures.iter(), failed)
            }
        };
        html.markup("</section>\n");
    }

    fn conflicts(&self, html: &mut Html) {
        let Some(content) = &self.content else { return };
        let conflicts = &content.conflicts;
        html.markup("<section><h2>Conflicts (")
            .text(conflicts.all)
            .markup(")</h2>\n");
        list(html, conflicts.shown.iter(), conflicts.all).markup("</section>\n");
    }

    fn draining(&self, html: &mut Html) {
        let Some(content) = &self.content else { return };
        let draining = &content.draining;
        html.markup("<section><h2>Draining (")
            .text(draining.all)
            .markup(")</h2>\n");
        if draining.all > 0 {
            html.markup(
                "<p>Destinations that get no new connections and stay for those that they have.</p>\n",
            )
            .head(&["Virtual server", "Destination", "Until", "Service", "Port"]);
            for one in &draining.shown {
                let (service, port) = match &one.service {
                    Some((service, port)) => (service.to_string(), &**port),
                    None => ("no Service any more".to_owned(), ""),
                };
                html.row(&[
                    &format_args!("{:#}", one.what.server),
                    &one.what.destination,
                    &until(&one.what.drain),
                    &service,
                    &port,
                ]);
            }
            html.end();
            more(html, draining.all, draining.shown.len());
        }
        html.markup("</section>\n");
    }

    fn syncs(&self, html: &mut Html) {
        html.markup("<section><h2>Last syncs</h2>\n");
        html.head(&[
            "Ago",
            "What",
            "Took",
            "Operations",
            "Failed",
            "Flows deleted",
        ]);
        for sync in &self.told.syncs {
            html.row(&[
                &self.since(sync.at),
                &sync.task,
                &format_args!("{:.1?}", sync.took),
                &sync.done,
                &sync.failed,
                &sync.flows,
            ]);
        }
        html.end().markup("</section>\n");
    }

    fn services(&self, html: &mut Html) {
        let Some(content) = &self.content else {
            html.markup("<p class=\"bad\">The loop is busy with a sync; ")
                .markup("Services are shown once it is done. Load the page again.</p>\n");
            return;
        };
        let found = &content.found;
        html.markup("<section><h2>").markup(match self.ask.view {
            View::Services => "Services (",
            View::Endpoints => "Endpoints of Services (",
        });
        html.text(found.all).markup(")</h2>\n");
        self.pages(html, found.all);
        html.head(match self.ask.view {
            View::Services => &["Service", "Port", "Virtual server", "Endpoints"],
            View::Endpoints => &["Service", "Address", "Ports", "Node", "Condition"],
        });
        for service in &found.shown {
            let name = service.name.to_string();
            match &service.lines {
                Lines::Servers(lines) => rows(html, &name, self.ask.view, lines, server),
                Lines::Endpoints(lines) => rows(html, &name, self.ask.view, lines, endpoint),
            }
        }
        html.end();
        self.pages(html, found.all);
        html.markup("</section>\n");
    }

    /// Links to the pages before and behind this one.
    fn pages(&self, html: &mut Html, all: usize) {
        let pages = all.div_ceil(PAGE).max(1);
        if pages == 1 && self.ask.page == 0 {
            return;
        }
        let ask = self.ask;
        let mut link = |page: usize, text: &str| {
            let page = page.to_string();
            let query = [
                ("view", ask.view.as_str()),
                ("q", &*ask.text),
                ("page", &*page),
            ];
            html.link(&query, text).markup(" ");
        };
        if ask.page > 0 {
            link(1, "first");
            link(ask.page.min(pages), "previous");
        }
        if ask.page + 1 < pages {
            link(ask.page + 2, "next");
            link(pages, "last");
        }
        html.markup("<p>Page ")
            .text(ask.page.saturating_add(1))
            .markup(" of ")
            .text(pages)
            .markup("</p>\n");
    }

    fn since(&self, at: SystemTime) -> String {
        let since = self.now.duration_since(at).unwrap_or_default();
        humantime::format_duration(Duration::from_secs(since.as_secs())).to_string()
    }
}

/// The rows of a Service.
fn rows<T>(html: &mut Html, name: &str, view: View, lines: &Part<T>, cells: fn(&mut Html, &T)) {
    let query = [("view", view.as_str()), ("q", name)];
    let service = |html: &mut Html| {
        html.markup("<tr><td>").link(&query, name).markup("</td>");
    };
    for line in &lines.shown {
        service(html);
        cells(html, line);
        html.markup("</tr>\n");
    }
    let rest = lines.all - lines.shown.len();
    if lines.all == 0 || rest > 0 {
        service(html);
        html.markup("<td colspan=\"4\">");
        match rest {
            0 => html.markup("none"),
            rest => html.text(rest).markup(" more"),
        };
        html.markup("</td></tr>\n");
    }
}

fn server(html: &mut Html, line: &ServerLine) {
    let ServerLine {
        port,
        server,
        endpoints,
    } = line;
    html.markup("<td>").text(port).markup("</td><td>");
    html.text(format_args!("{server:#}")).markup("</td>");
    html.markup(match endpoints.all {
        0 => "<td class=\"bad\">",
        _ => "<td>",
    });
    html.text(endpoints.all);
    if endpoints.all > 0 {
        html.markup(": ").text(endpoints.shown.join(", "));
    }
    if endpoints.all > endpoints.shown.len() {
        html.markup(", …");
    }
    html.markup("</td>");
}

fn endpoint(html: &mut Html, line: &EndpointLine) {
    html.markup("<td>").text(line.address).markup("</td><td>");
    html.text(&line.ports).markup("</td><td>");
    html.text(&line.node).markup(match line.condition {
        "ready" => "</td><td>",
        _ => "</td><td class=\"bad\">",
    });
    html.text(line.condition).markup("</td>");
}

/// When a destination that drains goes.
fn until(drain: &Drain) -> String {
    match drain {
        Drain::Seconds(seconds) => format!("they end, {seconds} s at most"),
        Drain::Of(_) => "they end, or the endpoint does".to_owned(),
        _ => "they end".to_owned(),
    }
}

fn fact(html: &mut Html, name: &'static str, value: impl Display, good: bool) {
    html.markup("<tr><th>").markup(name);
    html.markup(if good {
        "</th><td>"
    } else {
        "</th><td class=\"bad\">"
    });
    html.text(value).markup("</td></tr>\n");
}

fn list(html: &mut Html, shown: impl ExactSizeIterator<Item: Display>, all: usize) -> &mut Html {
    let count = shown.len();
    if count > 0 {
        html.markup("<ul>\n");
        for one in shown {
            html.markup("<li>").text(one).markup("</li>\n");
        }
        html.markup("</ul>\n");
    }
    more(html, all, count)
}

fn more(html: &mut Html, all: usize, shown: usize) -> &mut Html {
    match all.saturating_sub(shown) {
        0 => html,
        rest => html.markup("<p>").text(rest).markup(" more</p>\n"),
    }
}
