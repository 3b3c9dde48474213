<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use RuntimeException;

/**
 * One statement has both kinds of placeholders, ? and :name.
 *
 * @internal
 */
final class MixedPlaceholders extends RuntimeException
{
}
