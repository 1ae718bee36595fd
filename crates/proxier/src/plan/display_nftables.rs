//! Operations on nf_tables and routing as text.

use super::{Line, Operation, Sign, TablePart, TableWrite};
use crate::cluster::Family;
use crate::layout::nftables::{Element, Structure, TABLE};

impl Operation {
    /// The lines of an operation on nf_tables or routing.
    pub(super) fn nftables_lines(&self) -> Vec<Line> {
        let one = |sign, subject, text: String| {
            vec![Line {
                sign,
                subject,
                text,
            }]
        };
        match self {
            Self::WriteTable(write) => write.lines(),
            Self::DeleteTable(family) => one(
                Sign::Remove,
                "nft",
                format!("table {} {TABLE}", word(*family)),
            ),
            Self::AddTablePart(part) => part.lines(Sign::Add),
            Self::DeleteTablePart(part) => part.lines(Sign::Remove),
            Self::AddElement { family, element } => {
                one(Sign::Add, "nft", element_text(*family, element))
            }
            Self::ChangeElement {
                family,
                element,
                was,
            } => {
                let text = element_text(*family, element);
                let was = match (was.mark(), was) {
                    (Some(mark), _) => format!("{mark:#010x}"),
                    (_, Element::MasqueradeAddress(_, source))
                    | (_, Element::RangeMasqueradeAddress(_, source)) => source.to_string(),
                    (_, Element::LoopbackEndpoint(.., endpoint)) => endpoint.to_string(),
                    _ => format!("in {}", was.set().as_str()),
                };
                one(Sign::Change, "nft", format!("{text} (was {was})"))
            }
            Self::DeleteElement { family, element } => {
                one(Sign::Remove, "nft", element_text(*family, element))
            }
            Self::AddRoutingRule(rule) => one(Sign::Add, "rule", rule_text(rule)),
            Self::DeleteRoutingRule(rule) => one(Sign::Remove, "rule", rule_text(rule)),
            Self::AddRoute(route) => one(Sign::Add, "route", format!("{route} dev lo")),
            Self::DeleteRoute(route) => one(Sign::Remove, "route", format!("{route} dev lo")),
            _ => Vec::new(),
        }
    }
}

impl TableWrite {
    pub(super) fn summary(&self) -> String {
        format!("table {} {TABLE}", word(self.rules.family))
    }

    /// The table, and the rules that come and go. Sets and chains show by what is in them.
    fn lines(&self) -> Vec<Line> {
        let family = self.rules.family;
        let after = rules(family, &self.rules.structure());
        let before = self
            .before
            .as_ref()
            .map(|before| rules(family, before))
            .unwrap_or_default();
        let sign = match self.before {
            Some(_) => Sign::Change,
            None => Sign::Add,
        };
        let table = Line {
            sign,
            subject: "nft",
            text: format!("table {} {TABLE}", word(family)),
        };
        let line = |sign, text: &String| Line {
            sign,
            subject: "nft",
            text: text.clone(),
        };
        let gone = before.iter().filter(|rule| !after.contains(rule));
        let come = after.iter().filter(|rule| !before.contains(rule));
        let gone = gone.map(|text| line(Sign::Remove, text));
        let come = come.map(|text| line(Sign::Add, text));
        std::iter::once(table).chain(gone).chain(come).collect()
    }
}

impl TablePart {
    pub(super) fn summary(&self) -> String {
        let chains = self.structure.chains.iter();
        let chains = chains.filter_map(|chain| chain.name.as_ref());
        let chains: Vec<_> = chains.map(ToString::to_string).collect();
        let table = word(self.family);
        format!("chains {} of table {table} {TABLE}", chains.join(", "))
    }

    /// Its rules. Sets and chains show by what is in them.
    fn lines(&self, sign: Sign) -> Vec<Line> {
        let rules = rules(self.family, &self.structure).into_iter();
        let line = |text| Line {
            sign,
            subject: "nft",
            text,
        };
        rules.map(line).collect()
    }
}

/// Rules as they follow `nft add`, without that.
fn rules(family: Family, structure: &Structure) -> Vec<String> {
    let ruleset = structure.ruleset(family, []);
    let text = |rule| {
        let chain = |rule: &nftables_netlink::Rule| rule.chain.clone().unwrap_or_default();
        format!(
            "rule {} {TABLE} {} {}",
            word(family),
            chain(rule),
            ruleset.rule_text(rule)
        )
    };
    ruleset.rules.iter().map(text).collect()
}

fn element_text(family: Family, element: &Element) -> String {
    let (family, set) = (word(family), element.set().as_str());
    format!("element {family} {TABLE} {set} {{ {element} }}")
}

fn rule_text(rule: &dummy_link::MarkRule) -> String {
    match rule.family {
        Family::V4 => rule.to_string(),
        Family::V6 => format!("-6 {rule}"),
    }
}

/// The family as `nft` names it.
const fn word(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}
