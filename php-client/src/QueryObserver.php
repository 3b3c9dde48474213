<?php

declare(strict_types=1);

namespace RrPgpool;

/**
 * Is told about every statement, for logs, metrics and traces. It never sees argument values, which
 * may be secrets; see ArgumentObserver.
 */
interface QueryObserver
{
    /** Called after the statement, also after a failed one. Must not throw. */
    public function executed(QueryEvent $event): void;
}
