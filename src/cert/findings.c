#include "cert/findings.h"

#include <string.h>

struct finding {
    estuary_finding_state state;
    bool asked; /* then UNKNOWN is not acceptable */
    const char *check;
    est_code code;
    char *sentence; /* owned */
};

struct estuary_findings {
    STACK_OF(X509) *path; /* owned; NULL unless "chain" passed */
    size_t count;
    struct finding list[EST_FINDINGS_MAX];
};

estuary_findings *est_findings_new(void)
{
    return est_alloc(sizeof(estuary_findings));
}

void estuary_findings_free(estuary_findings *findings)
{
    if (findings == NULL)
        return;
    for (size_t i = 0; i < findings->count; i++)
        est_free(findings->list[i].sentence);
    sk_X509_pop_free(findings->path, X509_free);
    est_free(findings);
}

void est_findings_set0_path(estuary_findings *findings, STACK_OF(X509) *path)
{
    sk_X509_pop_free(findings->path, X509_free);
    findings->path = path;
}

const STACK_OF(X509) *est_findings_get0_path(const estuary_findings *findings)
{
    return findings->path;
}

estuary_status est_findings_add(estuary_findings *findings, est_finding_kind kind, const char *check,
                                est_code code, char *sentence, estuary_error *err)
{
    static const estuary_finding_state states[] = {
        [EST_NOT_ASKED] = ESTUARY_FINDING_UNKNOWN, [EST_NOT_SEEN] = ESTUARY_FINDING_UNKNOWN,
        [EST_PASS] = ESTUARY_FINDING_PASS,         [EST_NOTE] = ESTUARY_FINDING_NOTE,
        [EST_FAILED] = ESTUARY_FINDING_FAIL,
    };
    if (sentence == NULL)
        return est_fail_memory(err);
    if (findings->count == EST_FINDINGS_MAX) {
        est_free(sentence);
        return est_fail(err, EST_CERT, "there is too much to say about the certificate");
    }
    findings->list[findings->count++] = (struct finding){.state = states[kind],
                                                         .asked = kind != EST_NOT_ASKED,
                                                         .check = check,
                                                         .code = code,
                                                         .sentence = sentence};
    return ESTUARY_OK;
}

bool est_findings_set_revocation(estuary_findings *findings, estuary_finding_state state, est_code code,
                                 char *sentence)
{
    for (size_t i = 0; sentence != NULL && findings != NULL && i < findings->count; i++) {
        struct finding *finding = &findings->list[i];
        if (strcmp(finding->check, "revocation") != 0)
            continue;
        est_free(finding->sentence);
        finding->state = state;
        finding->asked = true;
        finding->code = code;
        finding->sentence = sentence;
        return true;
    }
    est_free(sentence);
    return false;
}

size_t estuary_findings_count(const estuary_findings *findings)
{
    return findings == NULL ? 0 : findings->count;
}

estuary_finding_state estuary_findings_at(const estuary_findings *findings, size_t index, const char **check,
                                          const char **code, const char **sentence)
{
    bool there = index < estuary_findings_count(findings);
    if (check != NULL)
        *check = there ? findings->list[index].check : "";
    if (code != NULL)
        *code = there ? est_code_text(findings->list[index].code) : "";
    if (sentence != NULL)
        *sentence = there ? findings->list[index].sentence : "";
    return there ? findings->list[index].state : ESTUARY_FINDING_UNKNOWN;
}

/* A check may have several findings; the worst one speaks for it. */
static int badness(estuary_finding_state state)
{
    switch (state) {
    case ESTUARY_FINDING_FAIL:
        return 4;
    case ESTUARY_FINDING_UNKNOWN:
        return 3;
    case ESTUARY_FINDING_NOTE:
        return 2;
    case ESTUARY_FINDING_PASS:
        return 1;
    }
    return 4;
}

estuary_finding_state estuary_findings_of(const estuary_findings *findings, const char *check)
{
    estuary_finding_state worst = ESTUARY_FINDING_UNKNOWN;
    bool seen = false;
    for (size_t i = 0; i < estuary_findings_count(findings); i++) {
        estuary_finding_state state = findings->list[i].state;
        if (strcmp(findings->list[i].check, check) != 0 || (seen && badness(state) <= badness(worst)))
            continue;
        worst = state;
        seen = true;
    }
    return worst;
}

static bool objects(const struct finding *finding)
{
    return finding->state == ESTUARY_FINDING_FAIL ||
           (finding->state == ESTUARY_FINDING_UNKNOWN && finding->asked);
}

bool estuary_findings_acceptable(const estuary_findings *findings)
{
    for (size_t i = 0; i < estuary_findings_count(findings); i++) {
        if (objects(&findings->list[i]))
            return false;
    }
    return estuary_findings_count(findings) > 0; /* nothing looked at is nothing good */
}

estuary_status estuary_findings_to_error(const estuary_findings *findings, estuary_error *err)
{
    const struct finding *unseen = NULL;
    for (size_t i = 0; i < estuary_findings_count(findings); i++) {
        const struct finding *finding = &findings->list[i];
        if (finding->state == ESTUARY_FINDING_FAIL)
            return est_fail(err, finding->code, "%s", finding->sentence);
        if (unseen == NULL && objects(finding))
            unseen = finding;
    }
    if (unseen != NULL)
        return est_fail(err, EST_CERT, "%s", unseen->sentence);
    if (estuary_findings_count(findings) == 0)
        return est_fail(err, EST_CERT, "the certificate was not looked at");
    return ESTUARY_OK;
}
