//! Rules as text: what their expressions load, followed from register to register, said at once.

use std::collections::BTreeMap;

use super::act;
use super::load::{self, Headers, Named};
use super::value;
use crate::expression::{
    Dynset, DynsetOp, Expression, HashKind, Immediate, Lookup, PayloadBase, SocketKey,
};
use crate::model::{Data, FilledSet, Register, SetFlags, TableFamily};
use crate::{DataType, Rule, Ruleset};

/// What a register holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) text: String,
    pub(super) kind: DataType,
    /// Bytes of it.
    pub(super) length: u32,
    /// Bytes of the whole field, where these are its first ones.
    pub(super) whole: u32,
    /// The bits of it that are kept.
    pub(super) mask: Option<Vec<u8>>,
    /// Whether a number of the machine's byte order was turned into network byte order.
    pub(super) turned: bool,
    /// Its bytes, where it is a constant.
    pub(super) constant: Option<Vec<u8>>,
}

/// A statement, and the protocol that it requires if it does nothing else.
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) requires: Option<Requirement>,
}

/// What a comparison establishes for the loads behind it, which name it themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Requirement {
    Link,
    Network,
    Transport,
}

/// A rule on its way to text.
pub(super) struct Printer<'a> {
    ruleset: &'a Ruleset,
    rule: &'a Rule,
    pub(super) held: BTreeMap<u8, Held>,
    pub(super) headers: Headers,
    pub(super) statements: Vec<Statement>,
}

/// The text of a rule without its comment; the name of the expression that has none, if one has none.
pub(super) fn body(ruleset: &Ruleset, rule: &Rule) -> Result<String, String> {
    let network = match rule.family {
        family @ (TableFamily::IPV4 | TableFamily::IPV6) => Some(family),
        _ => None,
    };
    let mut printer = Printer {
        ruleset,
        rule,
        held: BTreeMap::new(),
        headers: Headers {
            network,
            transport: None,
        },
        statements: Vec::new(),
    };
    for expression in &rule.expressions.0 {
        printer
            .expression(expression)
            .ok_or_else(|| String::from_utf8_lossy(expression.name()).into_owned())?;
    }
    let texts: Vec<_> = printer
        .statements
        .into_iter()
        .map(|statement| statement.text)
        .collect();
    Ok(texts.join(" "))
}

impl Printer<'_> {
    fn expression(&mut self, expression: &Expression) -> Option<()> {
        match expression {
            Expression::Payload(load) if load.destination.is_some() => {
                let named = load::payload(load, self.headers);
                match load.base {
                    PayloadBase::TRANSPORT => self.said(Requirement::Transport),
                    PayloadBase::NETWORK => self.said(Requirement::Network),
                    PayloadBase::LINK => self.said(Requirement::Link),
                    _ => {}
                }
                // ICMP says which network it is of.
                if matches!(
                    (load.base, self.headers.transport),
                    (PayloadBase::TRANSPORT, Some(1 | 58))
                ) {
                    self.said(Requirement::Network);
                }
                self.hold(load.destination?, named, load.length)
            }
            Expression::Meta(load) => match (load.destination, load.source) {
                (Some(register), None) => {
                    let named = load::meta(load);
                    let length = named.whole;
                    self.hold(register, named, length)
                }
                (None, Some(register)) => {
                    let value = self.valued(register, load::meta_type(load.key).0)?;
                    self.say(format!("meta {} set {value}", load.key))
                }
                _ => None,
            },
            Expression::Ct(load) => match (load.destination, load.source) {
                (Some(register), None) => {
                    let named = load::ct(load, self.headers);
                    let length = named.whole;
                    self.hold(register, named, length)
                }
                (None, Some(register)) => {
                    let value = self.valued(register, load::ct_type(load.key, self.headers).0)?;
                    self.say(format!("ct {} set {value}", load.key))
                }
                _ => None,
            },
            Expression::Fib(load) => {
                let named = load::fib(load);
                let length = named.whole;
                self.hold(load.destination?, named, length)
            }
            Expression::Rt(load) => {
                let named = load::rt(load);
                let length = named.whole;
                self.hold(load.destination?, named, length)
            }
            Expression::Byteorder(turned) => {
                let mut held = self.held(turned.source)?.clone();
                held.turned ^= true;
                self.held.insert(turned.destination.slot()?, held);
                Some(())
            }
            Expression::Exthdr(load) => match (load.destination, load.source) {
                (Some(register), None) => {
                    let named = load::exthdr(load)?;
                    self.hold(register, named, load.length)
                }
                (None, Some(register)) => {
                    let named = load::exthdr(load)?;
                    let value = self.valued(register, named.kind)?;
                    self.say(format!("{} set {value}", named.text))
                }
                _ => None,
            },
            Expression::Socket(load) => {
                let kind = match load.key {
                    SocketKey::MARK => DataType::MARK,
                    _ => DataType::INTEGER,
                };
                self.hold_text(load.destination?, format!("socket {}", load.key), kind)
            }
            Expression::Numgen(load) => {
                let offset = act::offset(load.offset);
                let text = format!("numgen {} mod {}{offset}", load.kind, load.modulus);
                self.hold_text(load.destination, text, DataType::UID)
            }
            Expression::Hash(load) if load.kind == HashKind::JENKINS => {
                let of = self.key(load.source?, load.length?)?.0;
                let seed = load
                    .seed
                    .map_or_else(String::new, |seed| format!(" seed 0x{seed:x}"));
                let offset = act::offset(load.offset);
                let text = format!("jhash {of} mod {}{seed}{offset}", load.modulus);
                self.hold_text(load.destination, text, DataType::UID)
            }
            Expression::Cmp(cmp) => self.compare(cmp),
            Expression::Range(range) => self.range(range),
            Expression::Bitwise(bitwise) => self.bitwise(bitwise),
            Expression::Lookup(lookup) => self.lookup(lookup),
            Expression::Immediate(immediate) => self.immediate(immediate),
            Expression::Dynset(dynset) => self.dynset(dynset),
            Expression::Payload(_) | Expression::Other(_) => None,
            other => {
                let text = act::statement(self, other)?;
                if text == "reject with tcp reset" && self.of_one_family() {
                    self.said(Requirement::Transport);
                }
                self.say(text)
            }
        }
    }

    /// Whether the table's family is that of all its packets, which is not said then.
    pub(super) fn of_one_family(&self) -> bool {
        matches!(self.rule.family, TableFamily::IPV4 | TableFamily::IPV6)
    }

    pub(super) fn say(&mut self, text: String) -> Option<()> {
        self.statements.push(Statement {
            text,
            requires: None,
        });
        Some(())
    }

    /// What comes next says itself which header it is of: takes back the comparison that established it.
    fn said(&mut self, requirement: Requirement) {
        self.statements
            .retain(|statement| statement.requires != Some(requirement));
    }

    fn hold(&mut self, register: Register, named: Named, length: u32) -> Option<()> {
        let held = Held {
            text: named.text,
            kind: named.kind,
            length,
            whole: named.whole,
            mask: None,
            turned: false,
            constant: None,
        };
        self.held.insert(register.slot()?, held);
        Some(())
    }

    fn hold_text(&mut self, register: Register, text: String, kind: DataType) -> Option<()> {
        let named = Named {
            text,
            kind,
            whole: 4,
        };
        self.hold(register, named, 4)
    }

    pub(super) fn held(&self, register: Register) -> Option<&Held> {
        self.held.get(&register.slot()?)
    }

    /// The key that begins in this register and has so many bytes: its text and its types.
    fn key(&self, register: Register, length: u32) -> Option<(String, Vec<DataType>)> {
        let (mut slot, mut left) = (register.slot()?, length);
        let (mut texts, mut types) = (Vec::new(), Vec::new());
        while left > 0 {
            let part = self.held.get(&slot)?;
            texts.push(part.text.clone());
            types.push(part.kind);
            slot = slot.checked_add(u8::try_from(part.length.div_ceil(4)).ok()?.max(1))?;
            left = left.saturating_sub(part.length.next_multiple_of(4).max(4));
        }
        Some((texts.join(" . "), types))
    }

    /// What a register holds, as a value of a type.
    pub(super) fn valued(&self, register: Register, kind: DataType) -> Option<String> {
        let held = self.held(register)?;
        Some(match &held.constant {
            Some(bytes) => value::value(kind, bytes),
            None => match &held.mask {
                Some(mask) => format!("{} & {}", held.text, value::value(held.kind, mask)),
                None => held.text.clone(),
            },
        })
    }

    fn lookup(&mut self, lookup: &Lookup) -> Option<()> {
        let rule = self.rule;
        let filled = self.ruleset.set(rule.family, &rule.table, &lookup.set)?;
        let (key, types) = self.key(lookup.source, filled.set.key_length)?;
        let shown = shown(filled, &types);
        let not = if lookup.flags & 1 == 1 { "!= " } else { "" };
        match lookup.destination {
            None => self.say(format!("{key} {not}{shown}")),
            Some(Register::VERDICT) => self.say(format!("{key} vmap {shown}")),
            Some(register) => {
                let mut slot = register.slot()?;
                let kinds = filled.set.data_type?.parts();
                // The text belongs to the first part; the others are behind it.
                for (index, kind) in kinds.iter().enumerate() {
                    let text = if index == 0 {
                        format!("{key} map {shown}")
                    } else {
                        String::new()
                    };
                    let length = kind.byte_len().unwrap_or(4);
                    let named = Named {
                        text,
                        kind: *kind,
                        whole: length,
                    };
                    self.hold(Register::at(slot), named, length)?;
                    slot += u8::try_from(length.div_ceil(4)).ok()?;
                }
                Some(())
            }
        }
    }

    fn immediate(&mut self, immediate: &Immediate) -> Option<()> {
        match &immediate.data {
            Data::Verdict(verdict) => self.say(value::verdict(verdict)),
            Data::Value(bytes) => {
                let length = u32::try_from(bytes.len()).ok()?;
                let held = Held {
                    text: value::hex(bytes),
                    kind: DataType::INTEGER,
                    length,
                    whole: length,
                    mask: None,
                    turned: false,
                    constant: Some(bytes.clone()),
                };
                self.held.insert(immediate.destination.slot()?, held);
                Some(())
            }
            Data::Other(_) => None,
        }
    }

    fn dynset(&mut self, dynset: &Dynset) -> Option<()> {
        let rule = self.rule;
        let filled = self.ruleset.set(rule.family, &rule.table, &dynset.set)?;
        let (key, _) = self.key(dynset.key, filled.set.key_length)?;
        let mut text = format!("{} @{} {{ {key}", dynset.op.name()?, dynset.set);
        for stateful in dynset.expression.iter().chain(&dynset.expressions) {
            text.push_str(&format!(" {}", act::stateful(&stateful.0)?));
        }
        if dynset.timeout != 0 && dynset.op != DynsetOp::DELETE {
            text.push_str(&format!(" timeout {}", value::duration(dynset.timeout)));
        }
        if let Some(register) = dynset.data {
            let kind = filled.set.data_type?;
            text.push_str(&format!(" : {}", self.valued(register, kind)?));
        }
        self.say(format!("{text} }}"))
    }
}

/// A set by its name, or an anonymous one with its elements.
fn shown(filled: &FilledSet, types: &[DataType]) -> String {
    if filled.set.flags.contains(SetFlags::ANONYMOUS) {
        let elements = super::set::elements(filled, types);
        return format!("{{ {} }}", elements.join(", "));
    }
    format!("@{}", filled.set.name)
}
