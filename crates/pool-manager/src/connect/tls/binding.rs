//! Channel binding data of type `tls-server-end-point` (RFC 5929, section 4.1): a hash of the
//! server's certificate, by which SCRAM notices somebody in the middle. It never verifies.

use ring::digest::{self, Algorithm, SHA256, SHA384, SHA512};
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, ContextSpecific, ObjectIdentifier};
use x509_cert::der::oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, ID_RSASSA_PSS, ID_SHA_1,
    ID_SHA_256, ID_SHA_384, ID_SHA_512, SHA_1_WITH_RSA_ENCRYPTION, SHA_256_WITH_RSA_ENCRYPTION,
    SHA_384_WITH_RSA_ENCRYPTION, SHA_512_WITH_RSA_ENCRYPTION,
};
use x509_cert::der::{Decode, Reader, TagNumber};
use x509_cert::spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};

/// The binding for a certificate in DER; `None` when its signature names no hash (Ed25519), for
/// which the RFC defines none.
#[must_use]
pub fn tls_server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let algorithm = hash_of(parsed.signature_algorithm())?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// The hash within a signature algorithm. MD5 and SHA-1 give way to SHA-256, as the RFC says.
fn hash_of(signature: &AlgorithmIdentifierOwned) -> Option<&'static Algorithm> {
    match signature.oid {
        SHA_256_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_256 => Some(&SHA256),
        SHA_384_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_384 => Some(&SHA384),
        SHA_512_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_512 => Some(&SHA512),
        MD5_WITH_RSA | SHA_1_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_1 => Some(&SHA256),
        ID_RSASSA_PSS => pss_hash(signature),
        _ => None,
    }
}

const MD5_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.4");
const ECDSA_WITH_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");

/// RSASSA-PSS carries its hash in its parameters, SHA-1 when it says nothing (RFC 4055).
fn pss_hash(signature: &AlgorithmIdentifierOwned) -> Option<&'static Algorithm> {
    let parameters = AnyRef::from(signature.parameters.as_ref()?);
    let hash = parameters
        .sequence(|reader| {
            let hash = ContextSpecific::<AlgorithmIdentifierRef<'_>>::decode_explicit(
                reader,
                TagNumber(0),
            )?;
            // The remaining fields (mask, salt length) play no part in the binding.
            while !reader.is_finished() {
                AnyRef::decode(reader)?;
            }
            Ok::<_, x509_cert::der::Error>(hash.map(|hash| hash.value.oid))
        })
        .ok()?;
    match hash {
        None | Some(ID_SHA_1 | ID_SHA_256) => Some(&SHA256),
        Some(ID_SHA_384) => Some(&SHA384),
        Some(ID_SHA_512) => Some(&SHA512),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["db".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_hash_is_the_one_of_the_certificates_signature() {
        for (signature, hash) in
            [(&rcgen::PKCS_ECDSA_P256_SHA256, &SHA256), (&rcgen::PKCS_ECDSA_P384_SHA384, &SHA384)]
        {
            let der = certificate(signature);
            let expected = digest::digest(hash, &der).as_ref().to_vec();
            assert_eq!(tls_server_end_point(&der), Some(expected));
        }
        assert_eq!(tls_server_end_point(&certificate(&rcgen::PKCS_ED25519)), None);
        assert_eq!(tls_server_end_point(b"not a certificate"), None);
    }

    #[test]
    fn rsa_pss_names_its_hash_in_the_parameters() {
        let pem = include_bytes!("../../../tests/fixtures/rsa-pss-sha384.crt");
        let der = CertificateDer::from_pem_slice(pem).unwrap();
        let expected = digest::digest(&SHA384, &der).as_ref().to_vec();
        assert_eq!(tls_server_end_point(&der), Some(expected));
    }
}
