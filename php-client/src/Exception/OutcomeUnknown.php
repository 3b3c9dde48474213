<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * Nobody can say whether the statement was executed (40003): it was sent, and no answer came. Look
 * before you repeat it.
 */
final class OutcomeUnknown extends PgpoolException
{
}
