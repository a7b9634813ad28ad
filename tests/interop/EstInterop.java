/* Bouncy Castle's EST client, and a Full CMC client made of its classes, against the lab. Neither knows Estuary.
 *
 * Reads steps from stdin, one a line, fields separated by tabs, and answers each with a line: ok or fail, the step,
 * and what there is to say. test_bouncy_castle.py writes the steps. RFC 7030, RFC 5272 */
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.math.BigInteger;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.CertPathValidator;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ASN1Primitive;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.ASN1UTF8String;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.DERUTF8String;
import org.bouncycastle.asn1.cmc.*;
import org.bouncycastle.asn1.crmf.CertReqMsg;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.ExtensionsGenerator;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.crmf.CertificateRequestMessage;
import org.bouncycastle.cert.crmf.CertificateRequestMessageBuilder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.SignerInfoGeneratorBuilder;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.est.CSRRequestResponse;
import org.bouncycastle.est.ESTAuth;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.ContentVerifierProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;
import org.bouncycastle.util.Store;

public class EstInterop {
    static final ASN1ObjectIdentifier CMC_RA = CMCObjectIdentifiers.id_kp_cmcRA;
    static final Map<String, Identity> identities = new HashMap<>();
    static final AtomicInteger counter = new AtomicInteger();

    record Identity(KeyPair keys, X509Certificate certificate, Collection<X509Certificate> chain) {}

    static class Unexpected extends Exception {
        Unexpected(String text) {
            super(text);
        }
    }

    static void check(boolean condition, String text) throws Unexpected {
        if (!condition)
            throw new Unexpected(text);
    }

    // --- keys, names, requests --------------------------------------------------------------

    static KeyPair newKey() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        return generator.generateKeyPair();
    }

    static ContentSigner signer(PrivateKey key) throws Exception {
        return new JcaContentSignerBuilder("SHA256withECDSA").build(key);
    }

    static SubjectPublicKeyInfo spki(KeyPair keys) {
        return SubjectPublicKeyInfo.getInstance(keys.getPublic().getEncoded());
    }

    static ExtensionsGenerator extensions(String name, KeyPair keys) throws Exception {
        ExtensionsGenerator all = new ExtensionsGenerator();
        all.addExtension(Extension.subjectAlternativeName, false,
            new GeneralNames(new GeneralName(GeneralName.dNSName, name + ".example")));
        all.addExtension(Extension.subjectKeyIdentifier, false,
            new JcaX509ExtensionUtils().createSubjectKeyIdentifier(keys.getPublic()));
        return all;
    }

    static PKCS10CertificationRequest pkcs10(String name, KeyPair keys) throws Exception {
        return new PKCS10CertificationRequestBuilder(new X500Name("CN=" + name), spki(keys))
            .addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, extensions(name, keys).generate())
            .build(signer(keys.getPrivate()));
    }

    static CertReqMsg crmf(String name, KeyPair keys, BigInteger id) throws Exception {
        CertificateRequestMessageBuilder builder = new CertificateRequestMessageBuilder(id)
            .setSubject(new X500Name("CN=" + name)).setPublicKey(spki(keys))
            .setProofOfPossessionSigningKeySigner(signer(keys.getPrivate()));
        for (ASN1ObjectIdentifier oid : extensions(name, keys).generate().getExtensionOIDs()) {
            Extension one = extensions(name, keys).generate().getExtension(oid);
            builder.addExtension(oid, one.isCritical(), one.getExtnValue().getOctets());
        }
        return builder.build().toASN1Structure();
    }

    // --- certificates -----------------------------------------------------------------------

    static Set<TrustAnchor> anchors(String file) throws Exception {
        Set<TrustAnchor> all = new HashSet<>();
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        for (java.security.cert.Certificate one :
            factory.generateCertificates(new ByteArrayInputStream(Files.readAllBytes(Path.of(file)))))
            all.add(new TrustAnchor((X509Certificate)one, null));
        return all;
    }

    static X509Certificate convert(X509CertificateHolder holder) throws Exception {
        return new JcaX509CertificateConverter().getCertificate(holder);
    }

    /* A path of at most one CA between. */
    static void chains(X509Certificate leaf, Collection<X509Certificate> others, String anchors) throws Exception {
        List<X509Certificate> path = new ArrayList<>(List.of(leaf));
        for (X509Certificate one : others) {
            if (one.getSubjectX500Principal().equals(leaf.getIssuerX500Principal())
                && !one.getSubjectX500Principal().equals(one.getIssuerX500Principal()) && !path.contains(one))
                path.add(one);
        }
        PKIXParameters parameters = new PKIXParameters(anchors(anchors));
        parameters.setRevocationEnabled(false);
        CertPathValidator.getInstance("PKIX").validate(
            CertificateFactory.getInstance("X.509").generateCertPath(path), parameters);
    }

    static Collection<X509Certificate> all(Store<X509CertificateHolder> store) throws Exception {
        List<X509Certificate> result = new ArrayList<>();
        for (X509CertificateHolder holder : store.getMatches(null)) {
            boolean root = holder.getSubject().equals(holder.getIssuer()); // a chain for PKCS#12 ends with it
            result.add(root ? result.size() : 0, convert(holder));
        }
        return result;
    }

    static X509Certificate forKey(Collection<X509Certificate> all, KeyPair keys) throws Exception {
        for (X509Certificate one : all) {
            if (Arrays.equals(one.getPublicKey().getEncoded(), keys.getPublic().getEncoded()))
                return one;
        }
        throw new Unexpected("no certificate for our key among " + all.size());
    }

    // --- EST --------------------------------------------------------------------------------

    static KeyManager[] managers(Identity identity) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        List<X509Certificate> chain = new ArrayList<>(List.of(identity.certificate));
        chain.addAll(identity.chain);
        store.setKeyEntry("identity", identity.keys.getPrivate(), new char[0], chain.toArray(new X509Certificate[0]));
        return JcaJceUtils.createKeyManagerFactory("SunX509", null, store, new char[0]).getKeyManagers();
    }

    static ESTService service(String url, String anchors, Identity identity) throws Exception {
        JsseESTServiceBuilder builder = new JsseESTServiceBuilder(URI.create(url).getAuthority(),
            JcaJceUtils.getCertPathTrustManager(anchors(anchors), null)).withTimeout(10000);
        if (identity != null)
            builder.withKeyManagers(managers(identity));
        return builder.build();
    }

    static char[] secret(String file) throws Exception {
        return Files.readString(Path.of(file)).toCharArray();
    }

    static ESTAuth auth(String user, String file) throws Exception {
        return new JcaHttpAuthBuilder(user, secret(file)).setNonceGenerator(new SecureRandom()).setProvider("BC").build();
    }

    static String newName() {
        return "bouncy" + counter.incrementAndGet();
    }

    static String cacerts(String url, String anchors) throws Exception {
        Collection<X509Certificate> got = all(service(url, anchors, null).getCACerts().getCertificateStore());
        for (TrustAnchor anchor : anchors(anchors))
            check(got.contains(anchor.getTrustedCert()), "the root is not among the CA certificates");
        for (X509Certificate one : got)
            if (!one.getSubjectX500Principal().equals(one.getIssuerX500Principal()))
                chains(one, List.of(), anchors);
        return got.size() + " certificates";
    }

    static String csrattrs(String url, String anchors, String... oids) throws Exception {
        CSRRequestResponse answer = service(url, anchors, null).getCSRAttributes();
        check(answer.hasAttributesResponse() == oids.length > 0, "attributes: " + answer.hasAttributesResponse());
        for (String oid : oids)
            check(answer.getAttributesResponse().hasRequirement(new ASN1ObjectIdentifier(oid)), oid + " is missing");
        return oids.length + " of " + oids.length;
    }

    static String issued(EnrollmentResponse answer, KeyPair keys, String url, String anchors, String as)
        throws Exception {
        check(answer.isCompleted(), "the enrolment is not complete");
        Collection<X509Certificate> cas = all(service(url, anchors, null).getCACerts().getCertificateStore());
        X509Certificate certificate = forKey(all(answer.getStore()), keys);
        chains(certificate, cas, anchors);
        if (as != null)
            identities.put(as, new Identity(keys, certificate, cas));
        return certificate.getSubjectX500Principal().getName();
    }

    static String enroll(String url, String anchors, String user, String file, String as) throws Exception {
        KeyPair keys = newKey();
        EnrollmentResponse answer =
            service(url, anchors, null).simpleEnroll(false, pkcs10(newName(), keys), auth(user, file));
        return issued(answer, keys, url, anchors, as);
    }

    static String refused(String url, String anchors, String user, String file) throws Exception {
        try {
            enroll(url, anchors, user, file, null);
        } catch (org.bouncycastle.est.ESTException expected) {
            check(expected.getMessage().contains("401") && !expected.getMessage().contains("Parsing"),
                "another refusal: " + expected.getMessage());
            return "401";
        }
        throw new Unexpected("a wrong password was accepted");
    }

    static String reenroll(String url, String anchors, String as) throws Exception {
        Identity old = identities.get(as);
        KeyPair keys = newKey();
        X509CertificateHolder held = new JcaX509CertificateHolder(old.certificate);
        ExtensionsGenerator same = new ExtensionsGenerator();
        same.addExtension(held.getExtension(Extension.subjectAlternativeName));
        PKCS10CertificationRequest request = new PKCS10CertificationRequestBuilder(held.getSubject(), spki(keys))
            .addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, same.generate())
            .build(signer(keys.getPrivate()));
        return issued(service(url, anchors, old).simpleEnroll(true, request, null), keys, url, anchors, null);
    }

    // --- Full CMC ---------------------------------------------------------------------------

    static class Conversation {
        final BigInteger transaction = new BigInteger(64, new SecureRandom());
        final byte[] nonce = new byte[16];
        final KeyPair keys;
        final String name = newName();
        final Identity signer; // null: the request's own key
        byte[] serverNonce;
        int httpStatus;
        CMCStatusInfoV2 status;
        Collection<X509Certificate> bag;

        Conversation(Identity signer) throws Exception {
            this.signer = signer;
            keys = newKey();
            new SecureRandom().nextBytes(nonce);
        }

        private long next = 1;
        private List<TaggedAttribute> controls = new ArrayList<>();

        void control(ASN1ObjectIdentifier type, ASN1Encodable value) {
            controls.add(new TaggedAttribute(new BodyPartID(next++), type, new DERSet(value)));
        }

        void begin() {
            controls = new ArrayList<>();
            control(CMCObjectIdentifiers.id_cmc_transactionId, new ASN1Integer(transaction));
            control(CMCObjectIdentifiers.id_cmc_senderNonce, new DEROctetString(nonce));
            if (serverNonce != null)
                control(CMCObjectIdentifiers.id_cmc_recipientNonce, new DEROctetString(serverNonce));
        }

        TaggedRequest body(String kind) throws Exception {
            BodyPartID id = new BodyPartID(100);
            if (kind.equals("crmf"))
                return new TaggedRequest(crmf(name, keys, BigInteger.valueOf(100)));
            return new TaggedRequest(new TaggedCertificationRequest(id,
                CertificationRequest.getInstance(pkcs10(name, keys).getEncoded())));
        }

        byte[] sign(TaggedRequest... requests) throws Exception {
            byte[] content = new PKIData(controls.toArray(new TaggedAttribute[0]), requests,
                new TaggedContentInfo[0], new OtherMsg[0]).getEncoded("DER");
            CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
            SignerInfoGeneratorBuilder builder =
                new SignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().build());
            if (signer == null) {
                generator.addSignerInfoGenerator(builder.build(EstInterop.signer(keys.getPrivate()),
                    new JcaX509ExtensionUtils().createSubjectKeyIdentifier(keys.getPublic()).getKeyIdentifier()));
            } else {
                X509CertificateHolder holder = new JcaX509CertificateHolder(signer.certificate);
                generator.addSignerInfoGenerator(builder.build(EstInterop.signer(signer.keys.getPrivate()), holder));
                generator.addCertificate(holder);
                for (X509Certificate one : signer.chain)
                    generator.addCertificate(new JcaX509CertificateHolder(one));
            }
            return generator.generate(new CMSProcessableByteArray(CMCObjectIdentifiers.id_cct_PKIData, content), true)
                .toASN1Structure().getEncoded("DER");
        }

        void post(String url, String anchors, byte[] message) throws Exception {
            SSLContext tls = SSLContext.getInstance("TLS");
            tls.init(null, new TrustManager[] {JcaJceUtils.getCertPathTrustManager(anchors(anchors), null)[0]}, null);
            HttpsURLConnection connection =
                (HttpsURLConnection)URI.create(url + "/.well-known/est/fullcmc").toURL().openConnection();
            connection.setSSLSocketFactory(tls.getSocketFactory());
            connection.setConnectTimeout(10000);
            connection.setReadTimeout(10000);
            connection.setDoOutput(true);
            connection.setRequestProperty("Content-Type", "application/pkcs7-mime; smime-type=CMC-request");
            connection.setRequestProperty("Content-Transfer-Encoding", "base64");
            connection.getOutputStream().write(Base64.getMimeEncoder().encode(message));
            httpStatus = connection.getResponseCode();
            byte[] answer = (httpStatus < 400 ? connection.getInputStream() : connection.getErrorStream()).readAllBytes();
            check("application/pkcs7-mime; smime-type=CMC-response".equals(connection.getContentType()),
                httpStatus + " " + connection.getContentType() + " " + new String(answer, StandardCharsets.ISO_8859_1));
            read(new CMSSignedData(Base64.getMimeDecoder().decode(answer)), anchors);
        }

        void read(CMSSignedData data, String anchors) throws Exception {
            check(data.getSignedContentTypeOID().equals(CMCObjectIdentifiers.id_cct_PKIResponse.getId()),
                "the content is " + data.getSignedContentTypeOID());
            bag = all(data.getCertificates());
            authorised(data, anchors);
            PKIResponse response = PKIResponse.getInstance(ASN1Primitive.fromByteArray(
                (byte[])data.getSignedContent().getContent()));
            Map<ASN1ObjectIdentifier, ASN1Encodable> found = new HashMap<>();
            for (ASN1Encodable one : response.getControlSequence()) {
                TaggedAttribute control = TaggedAttribute.getInstance(one);
                found.put(control.getAttrType(), control.getAttrValues().getObjectAt(0));
            }
            check(new ASN1Integer(transaction).equals(found.get(CMCObjectIdentifiers.id_cmc_transactionId)),
                "transactionId");
            check(new DEROctetString(nonce).equals(found.get(CMCObjectIdentifiers.id_cmc_recipientNonce)),
                "recipientNonce");
            serverNonce = ASN1OctetString.getInstance(found.get(CMCObjectIdentifiers.id_cmc_senderNonce)).getOctets();
            status = CMCStatusInfoV2.getInstance(found.get(CMCObjectIdentifiers.id_cmc_statusInfoV2));
            if (found.containsKey(CMCObjectIdentifiers.id_cmc_trustedAnchors))
                published(PublishTrustAnchors.getInstance(found.get(CMCObjectIdentifiers.id_cmc_trustedAnchors)));
        }

        boolean anchorsPublished;

        void published(PublishTrustAnchors anchors) throws Exception {
            check(anchors.getHashAlgorithm().getAlgorithm().equals(NISTObjectIdentifiers.id_sha256), "hash algorithm");
            for (byte[] hash : anchors.getAnchorHashes()) {
                boolean there = false;
                for (X509Certificate one : bag)
                    there |= Arrays.equals(hash, MessageDigest.getInstance("SHA-256").digest(one.getEncoded()));
                check(there, "a published anchor is not in the bag");
            }
            anchorsPublished = true;
        }

        /* id-kp-cmcRA, or the CA that issues. */
        void authorised(CMSSignedData data, String anchors) throws Exception {
            check(data.getSignerInfos().size() == 1, "signers: " + data.getSignerInfos().size());
            SignerInformation info = data.getSignerInfos().iterator().next();
            Collection<X509CertificateHolder> matches = data.getCertificates().getMatches(info.getSID());
            check(matches.size() == 1, "the signer's certificate is not there");
            X509CertificateHolder by = matches.iterator().next();
            check(info.verify(new JcaSimpleSignerInfoVerifierBuilder().build(by)), "the signature");
            Collection<X509Certificate> cas = new ArrayList<>(bag);
            cas.addAll(all(service(URI.create(lastUrl).toString(), anchors, null).getCACerts().getCertificateStore()));
            chains(convert(by), cas, anchors);
            List<String> purposes = convert(by).getExtendedKeyUsage();
            check(purposes == null ? convert(by).getBasicConstraints() >= 0 : purposes.contains(CMC_RA.getId()),
                "the signer's purposes are " + purposes);
        }

        long value() {
            return ASN1Integer.getInstance(status.getcMCStatus().toASN1Primitive()).longValueExact();
        }

        long fail() {
            return ASN1Integer.getInstance(status.getOtherStatusInfo().toASN1Primitive()).longValueExact();
        }

        String success(String anchors) throws Exception {
            check(httpStatus == 200 && value() == 0, "HTTP " + httpStatus + ", status " + value());
            X509Certificate certificate = forKey(bag, keys);
            chains(certificate, bag, anchors);
            return certificate.getSubjectX500Principal().getName() + (anchorsPublished ? ", anchors published" : "");
        }
    }

    static String lastUrl;

    static String cmcByCertificate(String url, String anchors, String kind, String as) throws Exception {
        Conversation talk = new Conversation(identities.get(as));
        lastUrl = url;
        talk.begin();
        talk.post(url, anchors, talk.sign(talk.body(kind)));
        return talk.success(anchors);
    }

    static byte[] witness(String secret, String identity, TaggedRequest... requests) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        byte[] hashed = MessageDigest.getInstance("SHA-256").digest((secret + identity).getBytes(StandardCharsets.UTF_8));
        mac.init(new SecretKeySpec(hashed, "HmacSHA256"));
        return mac.doFinal(new DERSequence(requests).getEncoded("DER"));
    }

    static Conversation bySecret(String url, String anchors, String kind, String user, String file) throws Exception {
        Conversation talk = new Conversation(null);
        lastUrl = url;
        talk.begin();
        TaggedRequest body = talk.body(kind);
        talk.control(CMCObjectIdentifiers.id_cmc_identification, new DERUTF8String(user));
        talk.control(CMCObjectIdentifiers.id_cmc_identityProofV2, new IdentityProofV2(
            new AlgorithmIdentifier(NISTObjectIdentifiers.id_sha256),
            new AlgorithmIdentifier(PKCSObjectIdentifiers.id_hmacWithSHA256, DERNull.INSTANCE),
            witness(new String(secret(file)), user, body)));
        talk.post(url, anchors, talk.sign(body));
        return talk;
    }

    static String cmcBySecret(String url, String anchors, String kind, String user, String file) throws Exception {
        return bySecret(url, anchors, kind, user, file).success(anchors);
    }

    /* RFC 5272 6.2.1: badIdentity; RFC 7030 4.3.2: and an HTTP error. */
    static String cmcRefused(String url, String anchors, String user, String file) throws Exception {
        Conversation talk = bySecret(url, anchors, "pkcs10", user, file);
        check(talk.httpStatus >= 400 && talk.value() == 2 && talk.fail() == 7,
            "HTTP " + talk.httpStatus + ", status " + talk.value());
        return "badIdentity";
    }

    /* RFC 5272 6.13 */
    static String cmcWaited(String url, String anchors, String user, String file) throws Exception {
        Conversation talk = bySecret(url, anchors, "crmf", user, file);
        check(talk.httpStatus == 200 && talk.value() == 3, "HTTP " + talk.httpStatus + ", status " + talk.value());
        PendInfo info = PendInfo.getInstance(talk.status.getOtherStatusInfo().toASN1Primitive());
        talk.begin();
        talk.control(CMCObjectIdentifiers.id_cmc_queryPending, new DEROctetString(info.getPendToken()));
        talk.post(url, anchors, talk.sign());
        return talk.success(anchors);
    }

    // --- reading what another client sent ---------------------------------------------------

    static ContentVerifierProvider verifier(SubjectPublicKeyInfo key) throws Exception {
        return new JcaContentVerifierProviderBuilder().build(key);
    }

    static SubjectPublicKeyInfo bodyKey(TaggedRequest request) throws Exception {
        if (request.getTagNo() == TaggedRequest.CRM) {
            CertificateRequestMessage message = new CertificateRequestMessage((CertReqMsg)request.getValue());
            SubjectPublicKeyInfo key = message.getCertTemplate().getPublicKey();
            check(message.isValidSigningKeyPOP(verifier(key)), "proof of possession of the CRMF body");
            return key;
        }
        ASN1Sequence tagged = ASN1Sequence.getInstance(
            TaggedCertificationRequest.getInstance(request.getValue()).toASN1Primitive());
        PKCS10CertificationRequest body = new PKCS10CertificationRequest(tagged.getObjectAt(1).toASN1Primitive().getEncoded());
        check(body.isSignatureValid(verifier(body.getSubjectPublicKeyInfo())), "signature of the PKCS#10 body");
        return body.getSubjectPublicKeyInfo();
    }

    static void verify(CMSSignedData data, SubjectPublicKeyInfo own) throws Exception {
        check(data.getSignerInfos().size() == 1, "signers: " + data.getSignerInfos().size());
        SignerInformation info = data.getSignerInfos().iterator().next();
        Collection<X509CertificateHolder> by = data.getCertificates().getMatches(info.getSID());
        JcaSimpleSignerInfoVerifierBuilder builder = new JcaSimpleSignerInfoVerifierBuilder();
        if (by.size() == 1)
            check(info.verify(builder.build(by.iterator().next())), "the signature");
        else
            check(info.verify(builder.build(new JcaContentKey(own).key())), "the signature of the request's key");
    }

    record JcaContentKey(SubjectPublicKeyInfo info) {
        java.security.PublicKey key() throws Exception {
            return BouncyCastleProvider.getPublicKey(info);
        }
    }

    /* FILE, and the secret's file: the body's kind, then the controls by their last arcs, sorted as text. */
    static String readRequest(String file, String... secretFile) throws Exception {
        CMSSignedData data = new CMSSignedData(Files.readAllBytes(Path.of(file)));
        check(data.getSignedContentTypeOID().equals(CMCObjectIdentifiers.id_cct_PKIData.getId()), "the content type");
        PKIData content = PKIData.getInstance(ASN1Primitive.fromByteArray((byte[])data.getSignedContent().getContent()));
        SubjectPublicKeyInfo own = null;
        StringBuilder said = new StringBuilder();
        for (TaggedRequest one : content.getReqSequence()) {
            own = bodyKey(one);
            said.append(one.getTagNo() == TaggedRequest.CRM ? "crmf" : "pkcs10");
        }
        verify(data, own);
        String identity = "";
        List<String> arcs = new ArrayList<>();
        for (TaggedAttribute control : content.getControlSequence()) {
            String oid = control.getAttrType().getId();
            arcs.add(oid.substring(oid.lastIndexOf('.') + 1));
            if (control.getAttrType().equals(CMCObjectIdentifiers.id_cmc_identification))
                identity = ASN1UTF8String.getInstance(control.getAttrValues().getObjectAt(0)).getString();
        }
        for (TaggedAttribute control : content.getControlSequence()) {
            if (!control.getAttrType().equals(CMCObjectIdentifiers.id_cmc_identityProofV2))
                continue;
            IdentityProofV2 proof = IdentityProofV2.getInstance(control.getAttrValues().getObjectAt(0));
            check(Arrays.equals(proof.getWitness(),
                witness(new String(secret(secretFile[0])), identity, content.getReqSequence())), "the identity proof");
        }
        arcs.sort(null);
        return (said.isEmpty() ? "none" : said) + " " + String.join(" ", arcs);
    }

    // --- steps ------------------------------------------------------------------------------

    static String run(String[] f) throws Exception {
        return switch (f[0]) {
            case "cacerts" -> cacerts(f[2], f[3]);
            case "csrattrs" -> csrattrs(f[2], f[3], Arrays.copyOfRange(f, 4, f.length));
            case "enroll" -> enroll(f[2], f[3], f[4], f[5], f.length > 6 ? f[6] : null);
            case "refused" -> refused(f[2], f[3], f[4], f[5]);
            case "reenroll" -> reenroll(f[2], f[3], f[4]);
            case "cmc-certificate" -> cmcByCertificate(f[2], f[3], f[4], f[5]);
            case "cmc-secret" -> cmcBySecret(f[2], f[3], f[4], f[5], f[6]);
            case "cmc-refused" -> cmcRefused(f[2], f[3], f[4], f[5]);
            case "cmc-waited" -> cmcWaited(f[2], f[3], f[4], f[5]);
            case "read-request" -> readRequest(f[2], Arrays.copyOfRange(f, 3, f.length));
            default -> throw new Unexpected("no such step");
        };
    }

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split("\t");
            try {
                System.out.println("ok\t" + fields[1] + "\t" + run(fields));
            } catch (Exception failure) {
                StringBuilder why = new StringBuilder();
                for (Throwable one = failure; one != null; one = one.getCause())
                    why.append(one).append(" at ").append(one.getStackTrace()[0]).append("; ");
                System.out.println("fail\t" + fields[1] + "\t" + why.toString().replaceAll("\\s+", " "));
            }
            System.out.flush();
        }
    }
}
