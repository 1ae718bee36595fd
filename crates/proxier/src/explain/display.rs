//! Explanations as text.

use std::collections::BTreeSet;
use std::fmt;

use super::answer::{Explanation, Frontend, OptionAnswer, Part, PartState, Path, PortAnswer, Step};
use super::question::At;
use super::words::{self, List};
use crate::cluster::ServiceType;

/// Of which tools the rules for all Services together are counted, where they are there.
const COUNTED: [&str; 2] = ["iptables", "ip6tables"];

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut findings = self.findings.iter();
        match findings.next() {
            Some(cause) => writeln!(f, "{cause}")?,
            None => self.served(f)?,
        }
        for finding in findings {
            writeln!(f, "- {finding}")?;
        }
        for port in &self.ports {
            writeln!(f)?;
            port.fmt(f)?;
        }
        if !self.shared.is_empty() {
            writeln!(
                f,
                "\nAll Services on this node, layout {}",
                self.layout.as_str()
            )?;
            parts(f, &self.shared, true)?;
        }
        Ok(())
    }
}

impl Explanation {
    fn served(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: BTreeSet<_> = self.ports.iter().map(PortAnswer::label).collect();
        let frontends = || self.ports.iter().flat_map(|port| &port.frontends);
        let at = frontends().map(|frontend| At(frontend.at).to_string());
        let at: Vec<_> = at.collect();
        let reached: BTreeSet<_> = frontends().flat_map(Frontend::reached).collect();
        write!(
            f,
            "{} is served at {} by {}",
            List(&labels),
            List(&at),
            List(&reached)
        )?;
        let restricted = frontends()
            .filter_map(|frontend| Some((frontend.at, frontend.source_ranges.as_ref()?)));
        for (at, ranges) in restricted {
            write!(f, "; {} only for clients in {}", At(at), List(ranges))?;
        }
        writeln!(f)
    }
}

impl PortAnswer {
    /// The Service and the name of the port.
    fn label(&self) -> String {
        match &*self.name {
            "" => self.service.to_string(),
            name => format!("{}:{name}", self.service),
        }
    }
}

impl Frontend {
    /// The endpoints that its paths lead to.
    fn reached(&self) -> Vec<String> {
        let steps = self.paths.iter().flat_map(|path| &path.steps);
        let reached = steps.filter_map(|step| match step {
            Step::Schedule { destinations, .. } | Step::Dnat { destinations, .. } => {
                Some(destinations)
            }
            _ => None,
        });
        reached.flatten().map(ToString::to_string).collect()
    }
}

impl fmt::Display for PortAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number, protocol, ..
        } = self;
        let service_type = match self.service_type {
            ServiceType::ClusterIp => "ClusterIP",
            ServiceType::NodePort => "NodePort",
            ServiceType::LoadBalancer => "LoadBalancer",
            ServiceType::ExternalName => "ExternalName",
        };
        let family = words::family(self.family);
        let label = self.label();
        write!(
            f,
            "Service    {label}, {service_type}, {family}, port {number}/{protocol}"
        )?;
        if let Some(node_port) = self.node_port {
            write!(f, ", node port {node_port}")?;
        }
        let internal = words::policy(self.internal_policy);
        let external = words::policy(self.external_policy);
        write!(
            f,
            "\nPolicy     internalTrafficPolicy {internal}, externalTrafficPolicy {external}"
        )?;
        if let Some(seconds) = self.affinity_seconds {
            write!(f, ", a client stays with its endpoint for {seconds} s")?;
        }
        writeln!(f)?;
        let mut head = "Options";
        for OptionAnswer {
            option,
            value,
            unused,
        } in &self.options
        {
            write!(f, "{head:<9}  {} {value}", option.name())?;
            match unused {
                Some(reason) => writeln!(f, ": no effect, {reason}")?,
                None => writeln!(f)?,
            }
            head = "";
        }
        self.endpoints(f)?;
        if !self.parts.is_empty() {
            writeln!(f, "\nAt all its addresses")?;
            parts(f, &self.parts, false)?;
        }
        self.frontends
            .iter()
            .try_for_each(|frontend| frontend.fmt(f))
    }
}

/// How many endpoints are shown.
const ENDPOINTS: usize = 50;

impl PortAnswer {
    fn endpoints(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .endpoints
            .iter()
            .map(|endpoint| endpoint.id.to_string().len());
        let width = width.max().unwrap_or_default();
        let mut head = "Endpoints";
        if self.endpoints.is_empty() {
            return writeln!(f, "{head:<9}  none");
        }
        for endpoint in self.endpoints.iter().take(ENDPOINTS) {
            let state = match (endpoint.ready, endpoint.serving, endpoint.terminating) {
                (true, _, _) => "ready",
                (false, true, true) => "terminating, serving",
                (false, _, true) => "terminating",
                (false, _, false) => "not ready",
            };
            let id = endpoint.id.to_string();
            write!(f, "{head:<9}  {id:<width$}  {state}")?;
            if let Some(node) = &endpoint.node {
                write!(f, ", on {node}")?;
            }
            if endpoint.local {
                f.write_str(" (this node)")?;
            }
            match endpoint.weight {
                Some(weight) => writeln!(f, ", weight {weight}")?,
                None => writeln!(f)?,
            }
            head = "";
        }
        match self.endpoints.len().saturating_sub(ENDPOINTS) {
            0 => Ok(()),
            more => writeln!(f, "{head:<9}  and {more} more"),
        }
    }
}

impl fmt::Display for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}, {}", At(self.at), self.kind)?;
        if !self.granted {
            return writeln!(f, ": not this Service's");
        }
        writeln!(f)?;
        parts(f, &self.parts, false)?;
        self.paths.iter().try_for_each(|path| path.fmt(f))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  from {}: {}", self.from, self.outcome)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "    {}. {step}", number + 1)?;
        }
        Ok(())
    }
}

/// The parts, each in a line; those of rules that are there in one, if so wanted.
fn parts(f: &mut fmt::Formatter<'_>, all: &[Part], count_rules: bool) -> fmt::Result {
    let counted = |part: &Part| count_rules && part.is_present() && COUNTED.contains(&part.subject);
    for part in all.iter().filter(|part| !counted(part)) {
        let (word, rest) = match &part.state {
            PartState::Present => ("ok", String::new()),
            PartState::Missing => ("MISSING", String::new()),
            PartState::Differs(found) => ("DIFFERS", format!(" (found: {found})")),
            PartState::Draining => ("drains", String::new()),
            PartState::Unwanted => ("UNWANTED", String::new()),
        };
        write!(f, "  {word:<8}  {:<9}  {}{rest}", part.subject, part.text)?;
        if let Some(connections) = &part.connections {
            let ipvs_netlink::Connections {
                active, inactive, ..
            } = connections;
            write!(f, "  # {active} active, {inactive} inactive connections")?;
        }
        writeln!(f)?;
    }
    for subject in COUNTED {
        let count = all
            .iter()
            .filter(|part| part.subject == subject && counted(part));
        match count.count() {
            0 => {}
            count => writeln!(f, "  {:<8}  {subject:<9}  {count} rules and jumps", "ok")?,
        }
    }
    Ok(())
}
