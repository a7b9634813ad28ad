/* Writes the CMC examples of tests/conformance/cmc with Bouncy Castle's ASN.1 and CMS classes: bytes that
 * neither the client nor the lab had a hand in. RFC 5272, RFC 6402, RFC 4211.
 *
 *     java -cp /usr/share/java/bcprov.jar:/usr/share/java/bcutil.jar:/usr/share/java/bcpkix.jar \
 *          tests/interop/CmcExamples.java tests/conformance/cmc
 *
 * The keys are new at every run, so all files change together. */
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.spec.ECGenParameterSpec;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1EncodableVector;
import org.bouncycastle.asn1.ASN1GeneralizedTime;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DERBitString;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.DERTaggedObject;
import org.bouncycastle.asn1.DERUTF8String;
import org.bouncycastle.asn1.cmc.*;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.CMSAttributes;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.cms.IssuerAndSerialNumber;
import org.bouncycastle.asn1.crmf.CertReqMsg;
import org.bouncycastle.asn1.crmf.CertTemplateBuilder;
import org.bouncycastle.asn1.crmf.PKIPublicationInfo;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.oiw.OIWObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.CRLReason;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.ExtensionsGenerator;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.crmf.CertificateRequestMessageBuilder;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cms.CMSAuthenticatedDataGenerator;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.DefaultSignedAttributeTableGenerator;
import org.bouncycastle.cms.PasswordRecipient;
import org.bouncycastle.cms.SignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JceCMSMacCalculatorBuilder;
import org.bouncycastle.cms.jcajce.JcePasswordRecipientInfoGenerator;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;

public class CmcExamples {
    static final BigInteger TRANSACTION = new BigInteger("2459867012345678901");
    static final byte[] CLIENT_NONCE = bytes("client-nonce-16b");
    static final byte[] SERVER_NONCE = bytes("server-nonce-16b");
    static final byte[] PEND_TOKEN = bytes("pend-token-4711");
    static final byte[] SECRET = bytes("a shared secret of 16 and more");
    static final String IDENTITY = "device-17";
    static final Date SIGNED = Date.from(Instant.parse("2026-01-01T00:00:00Z"));
    static final Date FROM = Date.from(Instant.parse("2020-01-01T00:00:00Z"));
    static final Date TO = Date.from(Instant.parse("2119-12-31T23:59:59Z"));
    static final AlgorithmIdentifier SHA256 = new AlgorithmIdentifier(NISTObjectIdentifiers.id_sha256);
    static final AlgorithmIdentifier SHA1 = new AlgorithmIdentifier(OIWObjectIdentifiers.idSHA1);
    static final AlgorithmIdentifier HMAC_SHA256 =
        new AlgorithmIdentifier(PKCSObjectIdentifiers.id_hmacWithSHA256, DERNull.INSTANCE);
    static final long REQUEST_ID = 100;

    static Path folder;
    static final DigestCalculatorProvider digests = digests();
    static JcaX509ExtensionUtils utils;

    record Pair(KeyPair keys, X509CertificateHolder certificate) {
        PrivateKey secret() {
            return keys.getPrivate();
        }
    }

    static Pair root, cmcRa, cmcCa, plain, stranger, client, device, other, newRoot, rsaRa;
    static KeyPair deviceKeys;

    // --- small things -----------------------------------------------------------------------

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static DigestCalculatorProvider digests() {
        try {
            return new JcaDigestCalculatorProviderBuilder().setProvider(new BouncyCastleProvider()).build();
        } catch (Exception failure) {
            throw new IllegalStateException(failure);
        }
    }

    static void write(String name, byte[] content) throws IOException {
        Files.write(folder.resolve(name), content);
    }

    static KeyPair ec() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        return generator.generateKeyPair();
    }

    static KeyPair rsa() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(2048);
        return generator.generateKeyPair();
    }

    static SubjectPublicKeyInfo publicKey(KeyPair keys) {
        return SubjectPublicKeyInfo.getInstance(keys.getPublic().getEncoded());
    }

    static ContentSigner signer(PrivateKey key) throws Exception {
        String how = key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA";
        return new JcaContentSignerBuilder(how).build(key);
    }

    static byte[] keyId(KeyPair keys) {
        return utils.createSubjectKeyIdentifier(publicKey(keys)).getKeyIdentifier();
    }

    // --- certificates -----------------------------------------------------------------------

    static Pair certify(String name, KeyPair keys, Pair issuer, KeyPurposeId... purposes) throws Exception {
        X500Name subject = new X500Name("O=CMC Examples,CN=" + name);
        X500Name from = issuer == null ? subject : issuer.certificate.getSubject();
        KeyPair signing = issuer == null ? keys : issuer.keys;
        X509v3CertificateBuilder builder = new X509v3CertificateBuilder(
            from, new BigInteger(127, new java.security.SecureRandom()), FROM, TO, subject, publicKey(keys));
        boolean ca = issuer == null;
        builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(ca));
        builder.addExtension(Extension.keyUsage, true,
            new KeyUsage(ca ? KeyUsage.keyCertSign | KeyUsage.cRLSign | KeyUsage.digitalSignature
                            : KeyUsage.digitalSignature));
        builder.addExtension(Extension.subjectKeyIdentifier, false,
            utils.createSubjectKeyIdentifier(publicKey(keys)));
        builder.addExtension(Extension.authorityKeyIdentifier, false,
            utils.createAuthorityKeyIdentifier(publicKey(signing)));
        if (purposes.length > 0)
            builder.addExtension(Extension.extendedKeyUsage, false, new ExtendedKeyUsage(purposes));
        return new Pair(keys, builder.build(signer(signing.getPrivate())));
    }

    static void makeCertificates() throws Exception {
        KeyPurposeId ra = KeyPurposeId.getInstance(CMCObjectIdentifiers.id_kp_cmcRA);
        KeyPurposeId ca = KeyPurposeId.getInstance(CMCObjectIdentifiers.id_kp_cmcCA);
        deviceKeys = ec();
        root = certify("Root", ec(), null);
        newRoot = certify("New Root", ec(), null);
        cmcRa = certify("RA", ec(), root, ra);
        rsaRa = certify("RSA RA", rsa(), root, ra);
        cmcCa = certify("CMC CA", ec(), root, ca);
        plain = certify("No Authority", ec(), root, KeyPurposeId.id_kp_clientAuth, KeyPurposeId.id_kp_serverAuth);
        stranger = certify("RA", ec(), certify("Another Root", ec(), null), ra);
        client = certify("client", ec(), root, KeyPurposeId.id_kp_clientAuth);
        device = certify("device", deviceKeys, root, KeyPurposeId.id_kp_clientAuth);
        other = certify("device", ec(), root, KeyPurposeId.id_kp_clientAuth);
        Map<String, Pair> all = new TreeMap<>(Map.of("root", root, "new-root", newRoot, "cmc-ra", cmcRa, "cmc-ca", cmcCa,
            "no-authority", plain, "client", client, "device", device, "other-key", other, "rsa-ra", rsaRa));
        for (Map.Entry<String, Pair> one : all.entrySet())
            write(one.getKey() + ".cer", one.getValue().certificate.getEncoded());
        write("client.p8", client.secret().getEncoded());
        write("device.p8", deviceKeys.getPrivate().getEncoded());
    }

    // --- certification requests -------------------------------------------------------------

    static ExtensionsGenerator wanted() throws Exception {
        ExtensionsGenerator extensions = new ExtensionsGenerator();
        extensions.addExtension(Extension.subjectAlternativeName, false,
            new GeneralNames(new GeneralName(GeneralName.dNSName, "device.example")));
        extensions.addExtension(Extension.subjectKeyIdentifier, false,
            utils.createSubjectKeyIdentifier(publicKey(deviceKeys)));
        return extensions;
    }

    static TaggedRequest pkcs10(long id) throws Exception {
        byte[] request = new PKCS10CertificationRequestBuilder(new X500Name("O=CMC Examples,CN=device"), publicKey(deviceKeys))
            .addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, wanted().generate())
            .build(signer(deviceKeys.getPrivate())).getEncoded();
        return new TaggedRequest(new TaggedCertificationRequest(new BodyPartID(id),
            CertificationRequest.getInstance(request)));
    }

    static TaggedRequest crmf(long id) throws Exception {
        CertificateRequestMessageBuilder builder = new CertificateRequestMessageBuilder(BigInteger.valueOf(id));
        builder.setSubject(new X500Name("O=CMC Examples,CN=device")).setPublicKey(publicKey(deviceKeys));
        builder.addExtension(Extension.subjectAlternativeName, false,
            new GeneralNames(new GeneralName(GeneralName.dNSName, "device.example")));
        builder.addExtension(Extension.subjectKeyIdentifier, false,
            utils.createSubjectKeyIdentifier(publicKey(deviceKeys)));
        builder.setProofOfPossessionSigningKeySigner(signer(deviceKeys.getPrivate()));
        return new TaggedRequest(CertReqMsg.getInstance(builder.build().getEncoded()));
    }

    // --- controls ---------------------------------------------------------------------------

    static class Controls {
        private final List<TaggedAttribute> all = new ArrayList<>();
        private long next = 1;

        Controls add(ASN1ObjectIdentifier type, ASN1Encodable... values) {
            all.add(new TaggedAttribute(new BodyPartID(next++), type, new DERSet(values)));
            return this;
        }

        Controls transaction() {
            return add(CMCObjectIdentifiers.id_cmc_transactionId, new ASN1Integer(TRANSACTION));
        }

        Controls sender(byte[] nonce) {
            return add(CMCObjectIdentifiers.id_cmc_senderNonce, new DEROctetString(nonce));
        }

        Controls recipient(byte[] nonce) {
            return add(CMCObjectIdentifiers.id_cmc_recipientNonce, new DEROctetString(nonce));
        }

        /* What a response to the example request carries. RFC 5272 6.6 */
        Controls echo() {
            return transaction().sender(SERVER_NONCE).recipient(CLIENT_NONCE);
        }

        TaggedAttribute[] array() {
            return all.toArray(new TaggedAttribute[0]);
        }
    }

    static byte[] witness(String digest, String mac, byte[] secret, String identity, TaggedRequest... requests)
        throws Exception {
        MessageDigest hash = MessageDigest.getInstance(digest);
        hash.update(secret);
        if (identity != null)
            hash.update(bytes(identity)); // RFC 5272 6.2.3
        Mac calculator = Mac.getInstance(mac);
        calculator.init(new SecretKeySpec(hash.digest(), mac));
        return calculator.doFinal(new DERSequence(requests).getEncoded("DER"));
    }

    static Controls proof(Controls controls, String identity, TaggedRequest... requests) throws Exception {
        if (identity != null)
            controls.add(CMCObjectIdentifiers.id_cmc_identification, new DERUTF8String(identity));
        return controls.add(CMCObjectIdentifiers.id_cmc_identityProofV2,
            new IdentityProofV2(SHA256, HMAC_SHA256, witness("SHA-256", "HmacSHA256", SECRET, identity, requests)));
    }

    // --- enveloping -------------------------------------------------------------------------

    static SignerInfoGeneratorBuilder attributes() {
        AttributeTable table = new AttributeTable(new ASN1EncodableVector());
        table = table.add(CMSAttributes.signingTime, new org.bouncycastle.asn1.cms.Time(SIGNED));
        return new SignerInfoGeneratorBuilder(digests)
            .setSignedAttributeGenerator(new DefaultSignedAttributeTableGenerator(table));
    }

    static CMSSignedData sign(ASN1ObjectIdentifier type, byte[] content, Pair by, X509CertificateHolder... bag)
        throws Exception {
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        if (by != null) {
            generator.addSignerInfoGenerator(attributes().build(signer(by.secret()), by.certificate));
            generator.addCertificate(by.certificate);
        }
        for (X509CertificateHolder one : bag)
            generator.addCertificate(one);
        return generator.generate(new CMSProcessableByteArray(type, content), true);
    }

    static byte[] signedByRequestKey(byte[] content) throws Exception {
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(attributes().build(signer(deviceKeys.getPrivate()), keyId(deviceKeys)));
        return generator.generate(new CMSProcessableByteArray(CMCObjectIdentifiers.id_cct_PKIData, content), true)
            .toASN1Structure().getEncoded("DER");
    }

    static byte[] der(CMSSignedData data) throws IOException {
        return data.toASN1Structure().getEncoded("DER");
    }

    // --- requests ---------------------------------------------------------------------------

    static byte[] pkiData(Controls controls, TaggedRequest... requests) throws IOException {
        return new PKIData(controls.array(), requests, new TaggedContentInfo[0], new OtherMsg[0]).getEncoded("DER");
    }

    static void request(String name, Controls controls, TaggedRequest... requests) throws Exception {
        write("request-" + name + ".der",
            der(sign(CMCObjectIdentifiers.id_cct_PKIData, pkiData(controls, requests), client)));
    }

    static void requestByOwnKey(String name, Controls controls, TaggedRequest... requests) throws Exception {
        write("request-" + name + ".der", signedByRequestKey(pkiData(controls, requests)));
    }

    static Controls opened() {
        return new Controls().transaction().sender(CLIENT_NONCE);
    }

    static void makeRequests() throws Exception {
        TaggedRequest ten = pkcs10(REQUEST_ID), crm = crmf(REQUEST_ID);
        request("pkcs10", opened(), ten);
        request("crmf", opened(), crm);
        request("two", opened(), ten, crmf(REQUEST_ID + 1));
        requestByOwnKey("pkcs10-secret", proof(opened(), IDENTITY, ten), ten);
        requestByOwnKey("crmf-secret", proof(opened(), IDENTITY, crm), crm);
        requestByOwnKey("secret-nameless", proof(opened(), null, ten), ten);
        Controls old = opened().add(CMCObjectIdentifiers.id_cmc_identification, new DERUTF8String(IDENTITY));
        old.add(CMCObjectIdentifiers.id_cmc_identityProof,
            new DEROctetString(witness("SHA-1", "HmacSHA1", SECRET, IDENTITY, ten)));
        requestByOwnKey("secret-v1", old, ten);
        request("query-pending", opened().recipient(SERVER_NONCE)
            .add(CMCObjectIdentifiers.id_cmc_queryPending, new DEROctetString(PEND_TOKEN)));
        request("confirm", opened().recipient(SERVER_NONCE)
            .add(CMCObjectIdentifiers.id_cmc_confirmCertAcceptance,
                new IssuerAndSerialNumber(device.certificate.getIssuer(), device.certificate.getSerialNumber())));
        request("every-control", everyControl(ten), ten);
        write("request-authenticated.der", authenticated(pkiData(opened().add(
            CMCObjectIdentifiers.id_cmc_identification, new DERUTF8String(IDENTITY)), ten)));
    }

    /* Controls a client or an RA may put into a request; their values are well-formed, not meaningful. */
    static Controls everyControl(TaggedRequest ten) throws Exception {
        BodyPartID id = new BodyPartID(REQUEST_ID);
        X500Name ca = root.certificate.getSubject();
        ASN1ObjectIdentifier arc = CMCObjectIdentifiers.id_cmc;
        Controls c = proof(opened(), IDENTITY, ten).recipient(SERVER_NONCE);
        c.add(CMCObjectIdentifiers.id_cmc_dataReturn, new DEROctetString(bytes("give it back")));
        c.add(CMCObjectIdentifiers.id_cmc_regInfo, new DEROctetString(bytes("registration")));
        c.add(CMCObjectIdentifiers.id_cmc_queryPending, new DEROctetString(PEND_TOKEN));
        c.add(CMCObjectIdentifiers.id_cmc_popLinkRandom, new DEROctetString(bytes("pop link random")));
        c.add(CMCObjectIdentifiers.id_cmc_popLinkWitness, new DEROctetString(new byte[20]));
        c.add(CMCObjectIdentifiers.id_cmc_popLinkWitnessV2, new PopLinkWitnessV2(SHA256, HMAC_SHA256, new byte[32]));
        c.add(CMCObjectIdentifiers.id_cmc_lraPOPWitness, new LraPopWitness(id, new DERSequence(id)));
        c.add(CMCObjectIdentifiers.id_cmc_decryptedPOP, new DecryptedPOP(id, HMAC_SHA256, new byte[32]));
        c.add(CMCObjectIdentifiers.id_cmc_getCert, new GetCert(new GeneralName(ca), BigInteger.valueOf(77)));
        c.add(CMCObjectIdentifiers.id_cmc_getCRL, new GetCRL(ca, null, null, null));
        c.add(CMCObjectIdentifiers.id_cmc_revokeRequest, new RevokeRequest(ca, new ASN1Integer(77),
            CRLReason.lookup(CRLReason.superseded), null, new DEROctetString(SECRET), new DERUTF8String("comment")));
        c.add(CMCObjectIdentifiers.id_cmc_confirmCertAcceptance,
            new IssuerAndSerialNumber(ca, BigInteger.valueOf(77)));
        c.add(CMCObjectIdentifiers.id_cmc_modCertTemplate, new ModCertTemplate(new BodyPartPath(id),
            BodyPartList.getInstance(new DERSequence(id)), true,
            new CertTemplateBuilder().setSubject(new X500Name("CN=changed")).build()));
        c.add(CMCObjectIdentifiers.id_cmc_controlProcessed,
            new ControlsProcessed(new BodyPartReference(new BodyPartPath(id))));
        c.add(CMCObjectIdentifiers.id_cmc_publishCert, new CMCPublicationInfo(SHA256, new byte[][] {new byte[32]},
            new PKIPublicationInfo(BigInteger.ZERO)));
        c.add(CMCObjectIdentifiers.id_cmc_authData, id);
        c.add(CMCObjectIdentifiers.id_cmc_batchRequests, new DERSequence(id));
        c.add(CMCObjectIdentifiers.id_cmc_addExtensions, new DERSequence(new ASN1Encodable[] {id, new DERSequence(id),
            new DERSequence(new Extension(Extension.subjectAlternativeName, false,
                new GeneralNames(new GeneralName(GeneralName.dNSName, "added.example")).getEncoded()))}));
        c.add(arc.branch("35"), new BodyPartPath(id)); // raIdentityWitness, RFC 6402 2.5
        return c;
    }

    /* RFC 5272 3.2: a password recipient, whose key comes from the identity and the shared secret. */
    static byte[] authenticated(byte[] content) throws Exception {
        CMSAuthenticatedDataGenerator generator = new CMSAuthenticatedDataGenerator();
        char[] password = (IDENTITY + new String(SECRET, StandardCharsets.UTF_8)).toCharArray();
        generator.addRecipientInfoGenerator(
            new JcePasswordRecipientInfoGenerator(CMSAlgorithm.AES256_CBC, password)
                .setProvider(new BouncyCastleProvider())
                .setPRF(PasswordRecipient.PRF.HMacSHA256)
                .setSaltAndIterationCount(bytes("salt-of-16-bytes"), 2048));
        return generator.generate(new CMSProcessableByteArray(CMCObjectIdentifiers.id_cct_PKIData, content),
            new JceCMSMacCalculatorBuilder(PKCSObjectIdentifiers.id_hmacWithSHA256)
                .setProvider(new BouncyCastleProvider()).build()).toASN1Structure().getEncoded("DER");
    }

    // --- responses --------------------------------------------------------------------------

    static CMCStatusInfoV2Builder status(CMCStatus what) {
        return new CMCStatusInfoV2Builder(what, new BodyPartID(REQUEST_ID));
    }

    static byte[] pkiResponse(TaggedAttribute... controls) throws IOException {
        return PKIResponse.getInstance(new DERSequence(new ASN1Encodable[] {
            new DERSequence(controls), new DERSequence(), new DERSequence()})).getEncoded("DER");
    }

    static void response(String name, Pair by, Controls controls, X509CertificateHolder... bag) throws Exception {
        write("response-" + name + ".der",
            der(sign(CMCObjectIdentifiers.id_cct_PKIResponse, pkiResponse(controls.array()), by, bag)));
    }

    static Controls answer(ASN1Encodable status) {
        return new Controls().add(CMCObjectIdentifiers.id_cmc_statusInfoV2, status).echo();
    }

    static Controls success() {
        return answer(status(CMCStatus.success).build());
    }

    static void makeSuccesses() throws Exception {
        X509CertificateHolder got = device.certificate, ca = root.certificate;
        response("success", cmcRa, success(), got, ca);
        response("success-cmc-ca", cmcCa, success(), got, ca);
        response("success-issuing-ca", root, success(), got);
        response("success-rsa", rsaRa, success(), got, ca);
        response("success-v1", cmcRa, new Controls().add(CMCObjectIdentifiers.id_cmc_statusInfo,
            new CMCStatusInfoBuilder(CMCStatus.success, new BodyPartID(REQUEST_ID)).build()).echo(), got, ca);
        response("success-path", cmcRa, answer(new DERSequence(new ASN1Encodable[] {CMCStatus.success,
            new DERSequence(new BodyPartReference(new BodyPartPath(new BodyPartID(REQUEST_ID))))})), got, ca);
        response("success-returned", cmcRa, success()
            .add(CMCObjectIdentifiers.id_cmc_dataReturn, new DEROctetString(bytes("give it back")))
            .add(CMCObjectIdentifiers.id_cmc_responseInfo, new DEROctetString(bytes("for your information"))), got, ca);
        write("response-success-ber.der", sign(CMCObjectIdentifiers.id_cct_PKIResponse,
            pkiResponse(success().array()), cmcRa, got, ca).toASN1Structure().getEncoded("BER"));
        CMSSignedDataGenerator simple = new CMSSignedDataGenerator();
        simple.addCertificate(got);
        simple.addCertificate(ca);
        write("response-simple.der", der(simple.generate(new org.bouncycastle.cms.CMSAbsentContent())));
    }

    static void makePending() throws Exception {
        PendInfo later = new PendInfo(PEND_TOKEN, new ASN1GeneralizedTime("20260101001500Z"));
        response("pending", cmcRa, answer(status(CMCStatus.pending).setStatusString("a person will look at it")
            .setOtherInfo(later).build()));
        response("partial", cmcRa, answer(status(CMCStatus.partial).setOtherInfo(later).build()));
        response("pending-without-info", cmcRa, answer(status(CMCStatus.pending).build()));
        response("pending-v1", cmcRa, new Controls().add(CMCObjectIdentifiers.id_cmc_statusInfo,
            new CMCStatusInfoBuilder(CMCStatus.pending, new BodyPartID(REQUEST_ID)).setOtherInfo(later).build()).echo());
    }

    static void makeFailures() throws Exception {
        String[] names = {"badAlg", "badMessageCheck", "badRequest", "badTime", "badCertId", "unsupportedExt",
            "mustArchiveKeys", "badIdentity", "popRequired", "popFailed", "noKeyReuse", "internalCAError", "tryLater",
            "authDataFail"};
        for (int i = 0; i < names.length; i++)
            response("failed-" + names[i], cmcRa, answer(status(CMCStatus.failed)
                .setOtherInfo(CMCFailInfo.getInstance(new ASN1Integer(i))).setStatusString("number " + i).build()));
        response("failed-v1", cmcRa, new Controls().add(CMCObjectIdentifiers.id_cmc_statusInfo,
            new CMCStatusInfoBuilder(CMCStatus.failed, new BodyPartID(REQUEST_ID)).setOtherInfo(CMCFailInfo.badRequest)
                .setStatusString("version 1").build()).echo());
        response("failed-bare", cmcRa, answer(status(CMCStatus.failed).build()));
        // Bouncy Castle's own OtherStatusInfo leaves out the [1] of RFC 5272 6.1.1.
        response("failed-extended", cmcRa, answer(new DERSequence(new ASN1Encodable[] {CMCStatus.failed,
            new DERSequence(new BodyPartID(REQUEST_ID)), new DERTaggedObject(false, 1, new DERSequence(new ASN1Encodable[] {
                new ASN1ObjectIdentifier("1.3.6.1.4.1.32473.5"), new DERUTF8String("a reason of our own")}))})));
        response("status-noSupport", cmcRa, answer(status(CMCStatus.noSupport).build()));
        response("status-popRequired", cmcRa, answer(status(CMCStatus.popRequired).build()));
        response("status-confirmRequired", cmcRa, answer(status(CMCStatus.confirmRequired).build()),
            device.certificate, root.certificate);
    }

    static PublishTrustAnchors anchors(AlgorithmIdentifier algorithm, String digest, X509CertificateHolder... these)
        throws Exception {
        byte[][] hashes = new byte[these.length][];
        for (int i = 0; i < these.length; i++)
            hashes[i] = MessageDigest.getInstance(digest).digest(these[i].getEncoded());
        return new PublishTrustAnchors(BigInteger.valueOf(7), algorithm, hashes);
    }

    static void makeAnchors() throws Exception {
        ASN1ObjectIdentifier type = CMCObjectIdentifiers.id_cmc_trustedAnchors;
        X509CertificateHolder got = device.certificate, ca = root.certificate, next = newRoot.certificate;
        response("anchors", cmcRa, success().add(type, anchors(SHA256, "SHA-256", ca, next)), got, ca, next);
        response("anchors-sha1", cmcRa, success().add(type, anchors(SHA1, "SHA-1", ca, next)), got, ca, next);
        response("anchors-wrong-hash", cmcRa,
            success().add(type, anchors(SHA256, "SHA-256", plain.certificate)), got, ca, next);
        response("anchors-absent", cmcRa, success().add(type, anchors(SHA256, "SHA-256", ca, next)), got, ca);
        response("anchors-stranger", stranger, success().add(type, anchors(SHA256, "SHA-256", next)), got, ca, next);
    }

    static void makeLies() throws Exception {
        X509CertificateHolder got = device.certificate, ca = root.certificate;
        Controls wrongTransaction = new Controls()
            .add(CMCObjectIdentifiers.id_cmc_statusInfoV2, status(CMCStatus.success).build())
            .add(CMCObjectIdentifiers.id_cmc_transactionId, new ASN1Integer(TRANSACTION.add(BigInteger.ONE)))
            .sender(SERVER_NONCE).recipient(CLIENT_NONCE);
        response("lie-transaction", cmcRa, wrongTransaction, got, ca);
        response("lie-nonce", cmcRa, new Controls()
            .add(CMCObjectIdentifiers.id_cmc_statusInfoV2, status(CMCStatus.success).build())
            .transaction().sender(SERVER_NONCE).recipient(SERVER_NONCE), got, ca);
        response("lie-no-nonce", cmcRa, new Controls()
            .add(CMCObjectIdentifiers.id_cmc_statusInfoV2, status(CMCStatus.success).build())
            .transaction().sender(SERVER_NONCE), got, ca);
        response("lie-no-transaction", cmcRa, new Controls()
            .add(CMCObjectIdentifiers.id_cmc_statusInfoV2, status(CMCStatus.success).build())
            .sender(SERVER_NONCE).recipient(CLIENT_NONCE), got, ca);
        response("lie-unsigned", null, success(), got, ca);
        response("lie-stranger", stranger, success(), got, ca);
        response("lie-no-authority", plain, success(), got, ca);
        response("lie-other-key", cmcRa, success(), other.certificate, ca);
        response("lie-no-certificate", cmcRa, success(), ca);
        response("lie-no-status", cmcRa, new Controls().echo(), got, ca);
        byte[] spoilt = der(sign(CMCObjectIdentifiers.id_cct_PKIResponse, pkiResponse(success().array()), cmcRa, got, ca));
        spoilt[spoilt.length - 1] ^= 1;
        write("response-lie-signature.der", spoilt);
        write("response-lie-content-type.der",
            der(sign(CMCObjectIdentifiers.id_cct_PKIData, pkiResponse(success().array()), cmcRa, got, ca)));
        ContentInfo inner = sign(CMCObjectIdentifiers.id_cct_PKIResponse, pkiResponse(success().array()), cmcRa, got, ca)
            .toASN1Structure();
        write("response-lie-nested.der",
            der(sign(CMCObjectIdentifiers.id_cct_PKIResponse, inner.getEncoded("DER"), cmcRa, got, ca)));
    }

    public static void main(String[] arguments) throws Exception {
        folder = Path.of(arguments[0]);
        utils = new JcaX509ExtensionUtils();
        makeCertificates();
        makeRequests();
        makeSuccesses();
        makePending();
        makeFailures();
        makeAnchors();
        makeLies();
    }
}
