//! Comparisons and computations as text.

use std::borrow::Cow;

use super::rule::{Held, Printer, Requirement, Statement};
use super::value;
use crate::DataType;
use crate::expression::{Bitwise, BitwiseOp, Cmp, CmpOp, Range, RangeOp};
use crate::model::TableFamily;

impl Held {
    /// What it is compared with, as a value of its type.
    fn comparand<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.turned && self.kind.is_host_order() && cfg!(target_endian = "little") {
            Cow::Owned(bytes.iter().rev().copied().collect())
        } else {
            Cow::Borrowed(bytes)
        }
    }
}

impl Printer<'_> {
    pub(super) fn compare(&mut self, cmp: &Cmp) -> Option<()> {
        let held = self.held(cmp.source)?.clone();
        let bytes = &*held.comparand(cmp.data.bytes()?);
        let not = if cmp.op == CmpOp::EQ { "" } else { "!= " };
        let equality = cmp.op == CmpOp::EQ || cmp.op == CmpOp::NEQ;
        if let Some(mask) = &held.mask {
            return self.compare_masked(&held, mask, cmp.op, bytes);
        }
        let length = u32::try_from(bytes.len()).ok()?;
        if equality && held.kind == DataType::IFNAME && length < held.whole {
            let mut text = value::quoted(bytes);
            text.insert(text.len() - 1, '*');
            return self.say(format!("{} {not}{text}", held.text));
        }
        if equality && held.length < held.whole {
            let mut whole = bytes.to_vec();
            whole.resize(usize::try_from(held.whole).ok()?, 0);
            let address = value::value(held.kind, &whole);
            return self.say(format!("{} {not}{address}/{}", held.text, length * 8));
        }
        let shown = value::value(held.kind, bytes);
        let text = match cmp.op {
            CmpOp::EQ => format!("{} {shown}", held.text),
            op => {
                // Two comparisons in a row are a range.
                let from = format!("{} >= ", held.text);
                if let (CmpOp::LTE, Some(last)) = (op, self.statements.last_mut()) {
                    if let Some(first) = last.text.strip_prefix(&from) {
                        last.text = format!("{} {first}-{shown}", held.text);
                        return Some(());
                    }
                }
                format!("{} {} {shown}", held.text, op.name()?)
            }
        };
        let requires = match (held.text.as_str(), cmp.op, bytes) {
            ("meta l4proto", CmpOp::EQ, [protocol]) => {
                self.headers.transport = Some(*protocol);
                Some(Requirement::Transport)
            }
            // These are said even where the header behind them says it too.
            ("ip protocol" | "ip6 nexthdr", CmpOp::EQ, [protocol]) => {
                self.headers.transport = Some(*protocol);
                None
            }
            ("iiftype", CmpOp::EQ, _) if value::number(held.kind, bytes) == 1 => {
                Some(Requirement::Link)
            }
            ("meta nfproto", CmpOp::EQ, [family]) => self.network(TableFamily(*family)),
            ("meta protocol" | "ether type", CmpOp::EQ, [8, 0]) => self.network(TableFamily::IPV4),
            ("meta protocol" | "ether type", CmpOp::EQ, [0x86, 0xdd]) => {
                self.network(TableFamily::IPV6)
            }
            _ => None,
        };
        self.statements.push(Statement { text, requires });
        Some(())
    }

    fn network(&mut self, family: TableFamily) -> Option<Requirement> {
        self.headers.network = Some(family);
        Some(Requirement::Network)
    }

    fn compare_masked(&mut self, held: &Held, mask: &[u8], op: CmpOp, bytes: &[u8]) -> Option<()> {
        let not = if op == CmpOp::EQ { "" } else { "!= " };
        let none = bytes.iter().all(|byte| *byte == 0);
        let shown = value::value(held.kind, mask);
        let text = &held.text;
        if let ("@nh,0,8", [0xf0], [version], CmpOp::EQ) = (text.as_str(), mask, bytes, op) {
            let family = self.headers.network?;
            return self.say(format!("{family} version {}", version >> 4));
        }
        self.say(match (value::bits(held.kind), op) {
            (Some(_), CmpOp::NEQ) if none => format!("{text} {shown}"),
            (Some(_), CmpOp::EQ | CmpOp::NEQ) if none => format!("{text} ! {shown}"),
            (Some(_), CmpOp::EQ | CmpOp::NEQ) => {
                format!("{text} {not}{} / {shown}", value::value(held.kind, bytes))
            }
            _ => match (held.kind, value::mask_length(mask)) {
                (DataType::IPV4_ADDR | DataType::IPV6_ADDR, Some(length)) => {
                    format!("{text} {not}{}/{length}", value::value(held.kind, bytes))
                }
                _ => {
                    let value = value::value(held.kind, bytes);
                    format!("{text} & {shown} {} {value}", op.name()?)
                }
            },
        })
    }

    pub(super) fn range(&mut self, range: &Range) -> Option<()> {
        let held = self.held(range.source)?;
        let from = &*held.comparand(range.from.bytes()?);
        let to = &*held.comparand(range.to.bytes()?);
        let not = if range.op == RangeOp::EQ { "" } else { "!= " };
        let text = format!("{} {not}{}", held.text, value::range(held.kind, from, to));
        self.say(text)
    }

    pub(super) fn bitwise(&mut self, bitwise: &Bitwise) -> Option<()> {
        let mut held = self.held(bitwise.source)?.clone();
        if bitwise.op != BitwiseOp::MASK_XOR {
            let by = value::number(DataType::UID, bitwise.data.as_ref()?.bytes()?);
            held.text = format!("{} {} {by}", held.text, bitwise.op.name()?);
            self.held.insert(bitwise.destination.slot()?, held);
            return Some(());
        }
        let (mask, xor) = (
            bitwise.mask.as_ref()?.bytes()?,
            bitwise.xor.as_ref()?.bytes()?,
        );
        let shown = |bytes: &[u8]| value::value(held.kind, bytes);
        let all = |bytes: &[u8], byte: u8| bytes.iter().all(|found| *found == byte);
        let opposite = mask.len() == xor.len() && mask.iter().zip(xor).all(|(a, b)| a ^ b == 0xff);
        let text = if all(xor, 0) {
            // Whether this is a comparison is known only behind it.
            held.mask = Some(mask.to_vec());
            self.held.insert(bitwise.destination.slot()?, held);
            return Some(());
        } else if opposite {
            format!("{} | {}", held.text, shown(xor))
        } else if all(mask, 0xff) {
            format!("{} ^ {}", held.text, shown(xor))
        } else {
            format!("{} & {} ^ {}", held.text, shown(mask), shown(xor))
        };
        held.text = text;
        self.held.insert(bitwise.destination.slot()?, held);
        Some(())
    }
}
