//! Why TLS refuses a client certificate, as far as it can be found out.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Whether a certificate in PEM is of X.509 version 1: such a one has no extensions, and rustls takes none.
///
/// RFC 5280, 4.1: the version is the first field, tagged [0], and missing in version 1, where the serial number, an INTEGER,
/// comes first.
pub(super) fn is_version_1(pem: &[u8]) -> bool {
    let Ok(certificate) = CertificateDer::from_pem_slice(pem) else {
        return false;
    };
    let tbs = contents(&certificate).and_then(contents);
    tbs.is_some_and(|fields| fields.first() == Some(&INTEGER))
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// What is in a SEQUENCE of DER.
fn contents(der: &[u8]) -> Option<&[u8]> {
    let (&tag, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    // From 0x80 on it is the number of bytes that hold the length. What follows ends with the certificate anyway.
    let skipped = usize::from(length.saturating_sub(0x80));
    (tag == SEQUENCE).then(|| rest.get(skipped..)).flatten()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `openssl x509 -req -signkey` of OpenSSL 3.0.19.
    pub(crate) const VERSION_1: &str = "-----BEGIN CERTIFICATE-----\n\
             MIHeMIGRAhRbgg3dieS0PY4TlVSUoaI1Hb66OjAFBgMrZXAwETEPMA0GA1UEAwwG\n\
             bm9kZS1hMCAXDTI2MTEyOTAwMzE0MVoYDzIxMjYxMTA1MDAzMTQxWjARMQ8wDQYD\n\
             VQQDDAZub2RlLWEwKjAFBgMrZXADIQBSOWKsIMh8aFvszDCAV729flMDckMlo6Sr\n\
             HPABHbPM7zAFBgMrZXADQQAQeN0cswJapc03T2g0c9GhH9mCBlaH3rjA+5BsHu+x\n\
             az53/YTXGRCuAcZq8UkbVNQX43q5igouUrTbk0TkJJgI\n\
             -----END CERTIFICATE-----";
    /// `openssl req -x509` of OpenSSL 3.0.19.
    const VERSION_3: &str = "-----BEGIN CERTIFICATE-----\n\
             MIIBODCB66ADAgECAhQ+09aChGrLbVnF67/Lu3JgPhJl1zAFBgMrZXAwETEPMA0G\n\
             A1UEAwwGbm9kZS1hMCAXDTI2MTEyOTAwMzE0MVoYDzIxMjYxMTA1MDAzMTQxWjAR\n\
             MQ8wDQYDVQQDDAZub2RlLWEwKjAFBgMrZXADIQAWd/3uPm2rrWan5ZmtpZHzmfdF\n\
             WTXA93AmM2ia6jQHnKNTMFEwHQYDVR0OBBYEFJ3j7WOjCBtrla63Lca3AIBhUXsG\n\
             MB8GA1UdIwQYMBaAFJ3j7WOjCBtrla63Lca3AIBhUXsGMA8GA1UdEwEB/wQFMAMB\n\
             Af8wBQYDK2VwA0EALpndOUiVAsEDM7D9LnSDI6xfQP7W7GC+9Q2LCJVMFy+eW0eH\n\
             6/UIJ4+wBdwqL1xf60I1M7nDwrZnZw6rH+kZCg==\n\
             -----END CERTIFICATE-----";

    #[test]
    fn the_version_is_told_apart() {
        assert!(is_version_1(VERSION_1.as_bytes()));
        assert!(!is_version_1(VERSION_3.as_bytes()));
        assert!(!is_version_1(b"nothing"));
        let cut = VERSION_1.get(..60).unwrap_or_default();
        assert!(!is_version_1(cut.as_bytes()));
    }
}
