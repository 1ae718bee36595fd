//! Values that are one piece of text to `ipvsadm`, as that text.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::{
    DestinationId, Family, InterfaceName, Netmask, PersistenceEngine, Scheduler, TunnelType,
    Version, VirtualServerId,
};

struct Text<T>(&'static str, PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! as_text {
    ($($type:ty, $format:literal, $expected:literal;)*) => {
        $(
            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(&format_args!($format, self))
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_str(Text($expected, PhantomData))
                }
            }
        )*
    };
}

as_text! {
    VirtualServerId, "{:#}", "a virtual server, as `TCP 10.0.0.1:80`";
    DestinationId, "{}", "an address with port, as `10.0.0.1:80`";
    Scheduler, "{}", "the name of a scheduler";
    PersistenceEngine, "{}", "the name of a persistence engine";
    InterfaceName, "{}", "the name of an interface";
    TunnelType, "{}", "a tunnel type, as `gue`";
    Version, "{}", "a version, as `1.2.1`";
}

/// By family, without those that take each client alone: `{"IPv4":24}`.
impl Serialize for Netmask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let narrow = Family::ALL
            .into_iter()
            .map(|family| (family, self.prefix(family)));
        serializer.collect_map(narrow.filter(|(family, prefix)| *prefix != family.bits()))
    }
}

impl<'de> Deserialize<'de> for Netmask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let prefixes = std::collections::BTreeMap::<Family, u8>::deserialize(deserializer)?;
        prefixes
            .into_iter()
            .try_fold(Self::HOST, |netmask, (family, prefix)| {
                netmask.with(family, prefix)
            })
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        Daemon, DaemonRole, Destination, DestinationConfig, Family, InterfaceName, Netmask,
        PersistenceEngine, Scheduler, ServiceFlags, Timeouts, Tunnel, TunnelFlags,
        VirtualServerConfig, VirtualServerId,
    };

    fn both_ways<T>(value: &T, expected: Value)
    where
        T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        assert_eq!(serde_json::to_value(value).unwrap(), expected);
        assert_eq!(&serde_json::from_value::<T>(expected).unwrap(), value);
    }

    #[test]
    fn the_model_is_in_the_words_of_ipvsadm() {
        both_ways(
            &VirtualServerId::tcp(([10, 0, 0, 1], 80)),
            json!("TCP 10.0.0.1:80"),
        );
        let seven = 7.try_into().unwrap();
        both_ways(
            &VirtualServerId::fwmark(Family::V6, seven),
            json!("FWM 7 IPv6"),
        );
        let config = VirtualServerConfig::new(Scheduler::SH)
            .persistent(60)
            .with_netmask(Netmask::new(Family::V4, 24).unwrap())
            .with_flags(ServiceFlags::SH_PORT)
            .with_engine(PersistenceEngine::SIP);
        both_ways(
            &config,
            json!({
                "scheduler": "sh", "flags": "PERSISTENT | SCHED_2", "timeout": 60,
                "netmask": {"IPv4": 24}, "engine": "sip",
            }),
        );
        let gue = Tunnel::gue(6080, TunnelFlags::CHECKSUM);
        both_ways(
            &Destination {
                id: "10.1.0.1:8080".parse().unwrap(),
                config: DestinationConfig::tunnel(gue, 3).with_thresholds(10, 5),
            },
            json!({
                "id": "10.1.0.1:8080",
                "config": {
                    "forwarding": "tunnel", "weight": 3, "upper_threshold": 10, "lower_threshold": 5,
                    "tunnel": {"kind": "gue", "port": 6080, "flags": "CHECKSUM"},
                },
            }),
        );
        let daemon = Daemon::new(DaemonRole::Master, InterfaceName::new("eth0").unwrap(), 1);
        both_ways(
            &daemon,
            json!({
                "role": "master", "interface": "eth0", "sync_id": 1,
                "max_length": null, "group": null, "port": null, "ttl": null,
            }),
        );
        both_ways(
            &Timeouts {
                tcp: 900,
                tcp_fin: 120,
                udp: 300,
            },
            json!({"tcp": 900, "tcp_fin": 120, "udp": 300}),
        );
    }

    #[test]
    fn settings_that_are_left_out_are_the_default() {
        let config: VirtualServerConfig =
            serde_json::from_value(json!({"scheduler": "rr"})).unwrap();
        assert_eq!(config, VirtualServerConfig::new(Scheduler::RR));
        let config: DestinationConfig =
            serde_json::from_value(json!({"forwarding": "masq", "weight": 1})).unwrap();
        assert_eq!(config, DestinationConfig::masquerade(1));
    }

    #[test]
    fn wrong_values_are_errors_that_name_them() {
        let error = serde_json::from_str::<VirtualServerId>(r#""TCP example:80""#).unwrap_err();
        assert!(error.to_string().contains("TCP example:80"), "{error}");
        let error = serde_json::from_str::<Netmask>(r#"{"IPv4": 64}"#).unwrap_err();
        assert!(error.to_string().contains("64 bits"), "{error}");
    }
}
