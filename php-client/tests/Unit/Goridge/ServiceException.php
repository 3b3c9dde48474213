<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit\Goridge;

use RuntimeException;

final class ServiceException extends RuntimeException
{
}
