//! Acknowledgements and errors: the payload of `NLMSG_ERROR` and `NLMSG_DONE`.

use netlink_wire::attributes;

use crate::KernelError;
use crate::message::{Message, align, array};
use crate::uapi::{
    NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_HDRLEN, NLMSGERR_ATTR_MISS_TYPE, NLMSGERR_ATTR_MSG,
    NLMSGERR_ATTR_OFFS,
};

/// Length of the error number.
const CODE_LEN: usize = 4;

/// Reads an acknowledgement: `Ok` for success, else the kernel's error. Parts that cannot be read are
/// left out, so that the number survives a truncated reply; `None` if even the number is cut off.
///
/// Layout: number, negative (`i32`); header of the request; its payload unless `NLM_F_CAPPED`;
/// attributes if `NLM_F_ACK_TLVS`. See
/// [`netlink_ack`](https://github.com/torvalds/linux/blob/v6.12/net/netlink/af_netlink.c).
pub(crate) fn parse_ack(reply: &Message<'_>) -> Option<Result<(), KernelError>> {
    let code = parse_code(reply)?;
    if code == 0 {
        return Some(Ok(()));
    }
    let mut error = KernelError::new(code);
    let request = reply.payload.get(CODE_LEN..).unwrap_or_default();
    let mut end = CODE_LEN + NLMSG_HDRLEN;
    if reply.flags & NLM_F_CAPPED == 0 && request.len() >= NLMSG_HDRLEN {
        let length = usize::try_from(u32::from_ne_bytes(array(request, 0))).unwrap_or(usize::MAX);
        error.request = request.get(NLMSG_HDRLEN..length).unwrap_or_default().into();
        end = CODE_LEN.saturating_add(align(length));
    }
    read_extension(reply, end, &mut error);
    Some(Err(error))
}

/// Reads the end of a dump: the number (absent on kernels before 4.14: success), then attributes if
/// `NLM_F_ACK_TLVS`.
pub(crate) fn parse_done(reply: &Message<'_>) -> Result<(), KernelError> {
    match parse_code(reply) {
        None | Some(0) => Ok(()),
        Some(code) => {
            let mut error = KernelError::new(code);
            read_extension(reply, CODE_LEN, &mut error);
            Err(error)
        }
    }
}

/// The error number, positive.
fn parse_code(reply: &Message<'_>) -> Option<i32> {
    let bytes = reply.payload.first_chunk::<CODE_LEN>()?;
    Some(i32::from_ne_bytes(*bytes).checked_neg().unwrap_or(i32::MAX))
}

fn read_extension(reply: &Message<'_>, start: usize, error: &mut KernelError) {
    if reply.flags & NLM_F_ACK_TLVS == 0 {
        return;
    }
    for attribute in
        attributes(reply.payload.get(start..).unwrap_or_default()).map_while(Result::ok)
    {
        match attribute.kind() {
            NLMSGERR_ATTR_MSG => {
                let text = String::from_utf8_lossy(attribute.value());
                error.message = Some(text.trim_end_matches('\0').into());
            }
            NLMSGERR_ATTR_OFFS => error.offset = attribute.u32().ok(),
            NLMSGERR_ATTR_MISS_TYPE => error.missing = attribute.u32().ok(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::messages;

    /// Reads one of the datagrams in `corpus/`, captured from Linux 6.18.44; see the README there.
    fn captured(datagram: &[u8]) -> Result<(), KernelError> {
        let reply = messages(datagram).next().unwrap().unwrap();
        assert_eq!(
            (reply.message_type, reply.sequence, reply.port),
            (2, 7, 0x1234)
        );
        parse_ack(&reply).unwrap()
    }

    #[test]
    fn success() {
        assert_eq!(captured(include_bytes!("../corpus/ack")), Ok(()));
    }

    #[test]
    fn an_error_without_words() {
        let error = captured(include_bytes!("../corpus/enodev")).unwrap_err();
        assert_eq!(error, KernelError::new(crate::errno::ENODEV));
        assert_eq!(error.to_string(), "No such device (os error 19)");
    }

    #[test]
    fn an_error_with_its_request() {
        let error = captured(include_bytes!("../corpus/enodev-echo")).unwrap_err();
        assert_eq!(
            *error.request,
            [0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn an_error_with_words() {
        for (datagram, echoed) in [
            (&include_bytes!("../corpus/extack")[..], 0),
            (include_bytes!("../corpus/extack-echo"), 24),
        ] {
            let error = captured(datagram).unwrap_err();
            assert_eq!(
                (error.request.len(), error.offset, error.missing),
                (echoed, Some(32), None)
            );
            assert_eq!(
                error.to_string(),
                "Invalid argument (os error 22): Unknown attribute type (at byte 32 of the request)"
            );
        }
    }

    #[test]
    fn ipset_echoes_the_line_uncalled_for() {
        let error = captured(include_bytes!("../corpus/ipset-lineno")).unwrap_err();
        assert_eq!(error.code, 4103);
        let line = attributes(&error.request[4..])
            .map(Result::unwrap)
            .find(|a| a.kind() == 9);
        assert_eq!(line.unwrap().u32_be(), Ok(2));
        assert_eq!(
            error.to_string(),
            "the kernel's subsystem refused the request with its error 4103"
        );
    }

    /// Synthetic: which attribute the request lacked.
    #[test]
    fn a_missing_attribute_is_named() {
        let mut payload = (-crate::errno::EINVAL).to_ne_bytes().to_vec();
        payload.extend([0; NLMSG_HDRLEN]);
        payload.extend([8_u16.to_ne_bytes(), NLMSGERR_ATTR_MISS_TYPE.to_ne_bytes()].concat());
        payload.extend(7_u32.to_ne_bytes());
        let reply = Message {
            message_type: 2,
            flags: NLM_F_CAPPED | NLM_F_ACK_TLVS,
            sequence: 7,
            port: 0x1234,
            payload: &payload,
        };
        let error = parse_ack(&reply).unwrap().unwrap_err();
        assert_eq!((error.missing, error.offset), (Some(7), None));
        assert!(error.to_string().ends_with("attribute 7 is missing"));
    }

    #[test]
    fn words_behind_an_echo() {
        let error = captured(include_bytes!("../corpus/ipset-name-too-long")).unwrap_err();
        assert_eq!(
            error.message.as_deref(),
            Some("Attribute failed policy validation")
        );
        assert_eq!((error.code, error.offset), (crate::errno::EINVAL, Some(28)));
    }

    #[test]
    fn a_cut_error_keeps_its_number() {
        let whole = include_bytes!("../corpus/ipset-name-too-long");
        for length in 20..whole.len() {
            let reply = crate::message::cut_message(&whole[..length]).unwrap();
            assert_eq!(
                parse_ack(&reply).unwrap().unwrap_err().code,
                crate::errno::EINVAL
            );
        }
        assert_eq!(
            parse_ack(&crate::message::cut_message(&whole[..19]).unwrap()),
            None
        );
    }
}
